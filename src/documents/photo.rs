//! The photograph that the permit shows: it is taken only when it can be printed.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgb,
    RgbImage,
};
use tokio::sync::Semaphore;

use super::MediaType;
use crate::error::{Error, ErrorCode, Result, Violation};

/// The kind of document, in every track that has it, that the permit takes its photograph from.
pub const PHOTO: &str = "photo";

/// The most pixels of a photograph: what a telephone takes. It is unpacked, at eight bytes a pixel at most.
const PIXELS: u64 = 16_000_000;

/// The most memory for unpacking one.
const MEMORY: u64 = 192 << 20;

/// How many are unpacked at a time.
static UNPACKING: Semaphore = Semaphore::const_new(2);

/// Width and height of what is printed, in pixels at most: 35 × 45 mm with 300 dots an inch.
const PRINTED: (u32, u32) = (413, 531);

/// Sees that a photograph can be printed: that it is a picture, whole, and not too large to be unpacked.
///
/// # Errors
/// [`ErrorCode::RuleRefused`] with what is wrong and what to do.
pub async fn check_photo<B>(bytes: B, kind: MediaType) -> Result<()>
where
    B: AsRef<[u8]> + Send + 'static,
{
    unpacked(bytes, kind, |_| Ok(())).await
}

/// Gives what is printed of a photograph: a small JPEG of the picture alone, upright, whatever else the file says.
///
/// The same bytes give the same bytes.
///
/// # Errors
/// As [`check_photo`].
pub async fn print_copy<B>(bytes: B, kind: MediaType) -> Result<Vec<u8>>
where
    B: AsRef<[u8]> + Send + 'static,
{
    unpacked(bytes, kind, |picture| {
        let (width, height) = PRINTED;
        let small = picture.width() <= width && picture.height() <= height;
        let picture = if small { picture } else { picture.thumbnail(width, height) };
        let picture = over_white(&picture);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 88)
            .encode(&picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
            .map_err(|error| Error::internal("cannot write a photograph", error))?;
        Ok(jpeg)
    })
    .await
}

async fn unpacked<B, T>(
    bytes: B,
    kind: MediaType,
    then: impl FnOnce(DynamicImage) -> Result<T> + Send + 'static,
) -> Result<T>
where
    B: AsRef<[u8]> + Send + 'static,
    T: Send + 'static,
{
    let broken_off = |error: &str| Error::bug(format!("a photograph was not unpacked: {error}"));
    let _place = UNPACKING.acquire().await.map_err(|error| broken_off(&error.to_string()))?;
    let work = move || then(unpack(bytes.as_ref(), kind)?);
    tokio::task::spawn_blocking(work).await.map_err(|error| broken_off(&error.to_string()))?
}

fn unpack(bytes: &[u8], kind: MediaType) -> Result<DynamicImage> {
    let format = match kind {
        MediaType::Jpeg => ImageFormat::Jpeg,
        MediaType::Png => ImageFormat::Png,
        MediaType::Pdf => {
            let detail = "Send the photograph as a picture, a JPEG or PNG file, not as a PDF.";
            return Err(refused("photo-not-an-image", detail));
        }
    };
    if kind == MediaType::Jpeg && !ends(bytes) {
        return Err(damaged());
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| damaged())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS {
        let detail = "The photograph has more than 16 million pixels; make it smaller.";
        return Err(refused("photo-too-large", detail));
    }
    let upright = decoder.orientation().map_err(|_| damaged())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| damaged())?;
    picture.apply_orientation(upright);
    Ok(picture)
}

/// Tells whether a JPEG's last scan has an end (ITU-T T.81, annex B: neither mark stands within a scan). The decoder would
/// paint what is missing grey.
fn ends(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]);
    scan.is_some_and(|at| bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Paints what is transparent white.
fn over_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u16::from);
        let mixed = |value: u16| {
            u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([mixed(red), mixed(green), mixed(blue)])
    })
}

fn damaged() -> Error {
    let detail = "The photograph is damaged; open it, save it again and send the new file.";
    refused("photo-damaged", detail)
}

fn refused(code: &'static str, detail: &'static str) -> Error {
    Error::refused(ErrorCode::RuleRefused, detail)
        .with_violations(vec![Violation::new("", code, detail)])
}

#[cfg(test)]
mod tests {
    use image::ImageEncoder as _;
    use image::codecs::png::PngEncoder;

    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        // Left red, right blue, so that a turn is seen.
        RgbImage::from_fn(width, height, |x, _| {
            if x < width / 2 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) }
        })
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new(&mut bytes);
        encoder
            .write_image(&picture(width, height), width, height, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new(&mut bytes)
            .encode(&picture(width, height), width, height, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    fn why(error: &Error) -> String {
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.code, ErrorCode::RuleRefused);
        refusal.violations[0].code.to_string()
    }

    async fn refusal(bytes: &[u8], kind: MediaType) -> String {
        why(&check_photo(bytes.to_vec(), kind).await.unwrap_err())
    }

    #[tokio::test]
    async fn pictures_are_taken_and_what_is_none_is_refused_by_name() {
        check_photo(png(300, 400), MediaType::Png).await.unwrap();
        check_photo(jpeg(300, 400), MediaType::Jpeg).await.unwrap();
        assert_eq!(refusal(b"%PDF-1.7", MediaType::Pdf).await, "photo-not-an-image");
        // What the marks and the header alone would let pass.
        let mut hollow = png(300, 400);
        let data = hollow.windows(4).position(|four| four == b"IDAT").unwrap();
        hollow[data + 8..data + 20].fill(0);
        assert_eq!(refusal(&hollow, MediaType::Png).await, "photo-damaged");
        let whole = jpeg(300, 400);
        for length in [20, whole.len() / 2, whole.len() - 2] {
            assert_eq!(refusal(&whole[..length], MediaType::Jpeg).await, "photo-damaged");
        }
    }

    #[tokio::test]
    async fn a_picture_that_would_fill_the_memory_is_not_unpacked() {
        // Some thousand bytes that say they are 25 million pixels.
        let mut bytes = png(64, 64);
        bytes[16..24].copy_from_slice(&[0, 0, 0x13, 0x88, 0, 0, 0x13, 0x88]);
        let sum = !bytes[12..29].iter().fold(u32::MAX, |mut sum, byte| {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            }
            sum
        });
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(refusal(&bytes, MediaType::Png).await, "photo-too-large");
    }

    #[tokio::test]
    async fn what_is_printed_is_small_upright_the_same_each_time_and_the_picture_alone() {
        let mut turned = jpeg(1200, 800);
        // EXIF that says: turn it by 90 degrees to the right; and where it was taken.
        let exif =
            b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0at home";
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let segment = [&[0xff, 0xe1][..], &length, exif].concat();
        turned.splice(2..2, segment);
        let printed = print_copy(turned.clone(), MediaType::Jpeg).await.unwrap();
        assert_eq!(printed, print_copy(turned, MediaType::Jpeg).await.unwrap());
        assert!(printed.len() < 60_000 && !printed.windows(7).any(|part| part == b"at home"));
        let shown = unpack(&printed, MediaType::Jpeg).unwrap().to_rgb8();
        assert_eq!((shown.width(), shown.height()), (354, 531));
        let [top, bottom] = [shown.get_pixel(177, 50).0, shown.get_pixel(177, 480).0];
        assert!(top[0] > 200 && bottom[2] > 200, "{top:?} above {bottom:?}");
    }
}
