//! QR codes (ISO/IEC 18004): drawn as SVG and PNG, and read from a PNG. What stands in one is its maker's business.

use std::fmt::Write as _;
use std::io::Cursor;

use qrcode::{Color, EcLevel, QrCode};

/// White modules around the code, as the standard wants them.
const QUIET: usize = 4;

/// Pixels for each module of a PNG: at 25 mm some 650 dots an inch, and enough for every decoder.
const SCALE: usize = 8;

/// The size in tenths of a millimetre of the code itself; the quiet zone comes on top.
const TENTHS: usize = 250;

/// The most pixels of an image that is read.
const PIXELS: u64 = 64 << 20;

/// A text as a QR of error correction level M: a seventh of it may be scratched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    width: usize,
    dark: Vec<bool>,
}

/// Says why an image gave no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    /// Not a PNG, or a broken one.
    #[error("it is no image that can be read; give a PNG")]
    NoImage,
    /// Too many pixels.
    #[error("it has more than 67 million pixels; cut out the QR")]
    TooLarge,
    /// Nothing in it looks like a QR that can be read.
    #[error(
        "no QR can be read in it; take the picture from above, sharp, the whole code with white around it"
    )]
    NoQr,
}

impl Qr {
    /// Makes the code of `text`; `None` when it is longer than a QR can hold (2,331 bytes).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Some(Self { width, dark })
    }

    /// Gives the modules of a side, without the quiet zone: 4 × version + 17.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Gives the dark modules, row by row: how far right and down each run begins, and how many modules it has.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.dark.chunks_exact(self.width).enumerate().flat_map(|(y, row)| {
            let mut next = 0;
            row.chunk_by(|one, other| one == other).filter_map(move |run| {
                let x = next;
                next += run.len();
                (run.first() == Some(&true)).then_some((x, y, run.len()))
            })
        })
    }

    /// Draws it: 25 mm, and the quiet zone around. The same code gives the same bytes.
    #[must_use]
    pub fn svg(&self) -> String {
        let side = self.width + 2 * QUIET;
        let tenths = (TENTHS * side).div_ceil(self.width);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}.{1}mm\" height=\"{0}.{1}mm\" \
             viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"",
            tenths / 10,
            tenths % 10,
        );
        for (x, y, n) in self.runs() {
            // Writing into a text does not fail.
            let _ = write!(svg, "M{} {}h{n}v1h-{n}z", x + QUIET, y + QUIET);
        }
        svg.push_str("\"/></svg>\n");
        svg
    }

    /// Draws it in black and white, 25 mm as well. The same code gives the same bytes. `None` when the encoder fails, which it does not.
    #[must_use]
    pub fn png(&self) -> Option<Vec<u8>> {
        let side = (self.width + 2 * QUIET) * SCALE;
        let mut pixels = vec![0xff_u8; side.div_ceil(8) * side];
        for (y, line) in pixels.chunks_exact_mut(side.div_ceil(8)).enumerate() {
            for x in 0..side {
                if self.is_dark(x / SCALE, y / SCALE) {
                    line[x / 8] &= !(0x80 >> (x % 8));
                }
            }
        }
        let mut bytes = Vec::new();
        let edge = u32::try_from(side).ok()?;
        let mut encoder = png::Encoder::new(&mut bytes, edge, edge);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let density = u32::try_from(self.width * SCALE * 10_000 / TENTHS).ok()?;
        let unit = png::Unit::Meter;
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: density, yppu: density, unit }));
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&pixels).ok()?;
        writer.finish().ok()?;
        Some(bytes)
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.width);
        let place = inside(x).zip(inside(y)).map(|(x, y)| y * self.width + x);
        place.is_some_and(|place| self.dark[place])
    }
}

/// Reads the texts of all QRs in a PNG.
///
/// # Errors
/// [`ImageProblem`] when there is none.
pub fn read(image: &[u8]) -> Result<Vec<String>, ImageProblem> {
    let (width, height, grey) = grey(image)?;
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    let grids = prepared.detect_grids();
    let texts: Vec<String> =
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect();
    if texts.is_empty() { Err(ImageProblem::NoQr) } else { Ok(texts) }
}

/// Gives width, height and the brightness of each pixel; what is transparent counts as white.
fn grey(image: &[u8]) -> Result<(usize, usize, Vec<u8>), ImageProblem> {
    let no_image = |_| ImageProblem::NoImage;
    let mut decoder = png::Decoder::new(Cursor::new(image));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(no_image)?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > PIXELS {
        return Err(ImageProblem::TooLarge);
    }
    let size = reader.output_buffer_size().ok_or(ImageProblem::TooLarge)?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(no_image)?;
    pixels.truncate(frame.buffer_size());
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u16::from(value), u16::from(alpha));
        u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    let brightness = |red: u8, green: u8, blue: u8| {
        let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
        u8::try_from(sum / 1000).unwrap_or(u8::MAX)
    };
    let grey: Vec<u8> = match frame.color_type {
        png::ColorType::Grayscale | png::ColorType::Indexed => pixels,
        png::ColorType::GrayscaleAlpha => {
            pixels.chunks_exact(2).map(|one| over_white(one[0], one[1])).collect()
        }
        png::ColorType::Rgb => {
            pixels.chunks_exact(3).map(|one| brightness(one[0], one[1], one[2])).collect()
        }
        png::ColorType::Rgba => pixels
            .chunks_exact(4)
            .map(|one| over_white(brightness(one[0], one[1], one[2]), one[3]))
            .collect(),
    };
    let (width, height) = (width as usize, height as usize);
    if grey.len() == width * height {
        Ok((width, height, grey))
    } else {
        Err(ImageProblem::NoImage)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn no_picture_stops_the_reader(
            width in 1..90u32, height in 1..90u32, noise in any::<u64>(), damage in 0..3000usize, over in any::<u8>(),
        ) {
            let pixels: Vec<u8> = (0..width * height)
                .map(|place| (noise.wrapping_mul(u64::from(place) * 2 + 1) >> 56) as u8 & 0x80)
                .collect();
            let _ = read(&paint(png::ColorType::Grayscale, (width, height), &pixels));
            // A code with a strip of it painted over.
            let code = Qr::new("a permit that somebody has scratched").unwrap();
            let mut damaged = code.clone();
            for dark in damaged.dark.iter_mut().skip(damage % code.dark.len()).take(over.into()) {
                *dark = !*dark;
            }
            let _ = read(&damaged.png().unwrap());
        }
    }

    fn paint(color: png::ColorType, size: (u32, u32), pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        bytes
    }

    #[test]
    fn a_text_is_drawn_the_same_each_time_and_read_again() {
        let text = "eyJhbGciOiJFZERTQSJ9.".repeat(20);
        let code = Qr::new(&text).unwrap();
        assert_eq!(read(&code.png().unwrap()), Ok(vec![text.clone()]));
        assert_eq!(code.png(), Qr::new(&text).unwrap().png());
        assert_eq!(code.svg(), Qr::new(&text).unwrap().svg());
        assert_eq!(Qr::new(&"x".repeat(2332)), None);
    }

    #[test]
    fn the_svg_has_the_same_modules_as_the_code_and_a_size_in_millimetres() {
        let code = Qr::new("permit").unwrap();
        let svg = code.svg();
        assert_eq!(code.width(), 21);
        assert!(svg.contains("width=\"34.6mm\"") && svg.contains("viewBox=\"0 0 29 29\""), "{svg}");
        let drawn: usize = svg
            .split_once("<path d=\"")
            .unwrap()
            .1
            .split('h')
            .filter_map(|run| run.split_once('v')?.0.parse::<usize>().ok())
            .sum();
        assert_eq!(drawn, code.dark.iter().filter(|dark| **dark).count());
    }

    #[test]
    fn a_picture_in_colour_and_with_transparency_is_read() {
        let code = Qr::new("in colour").unwrap();
        let side = u32::try_from((code.width + 2 * QUIET) * 5).unwrap();
        let dark = |place: u32| {
            let (x, y) = ((place % side / 5) as usize, (place / side / 5) as usize);
            code.is_dark(x, y)
        };
        // Navy on cream, and black on nothing.
        let rgb: Vec<u8> = (0..side * side)
            .flat_map(|place| if dark(place) { [10, 20, 90] } else { [250, 240, 200] })
            .collect();
        let rgba: Vec<u8> = (0..side * side)
            .flat_map(|place| [0, 0, 0, if dark(place) { 255 } else { 0 }])
            .collect();
        for (color, pixels) in [(png::ColorType::Rgb, rgb), (png::ColorType::Rgba, rgba)] {
            let image = paint(color, (side, side), &pixels);
            assert_eq!(read(&image), Ok(vec!["in colour".to_owned()]), "{color:?}");
        }
    }

    #[test]
    fn what_is_no_image_or_has_no_code_is_refused_by_name() {
        let png = Qr::new("permit").unwrap().png().unwrap();
        for bytes in [&b""[..], b"%PDF-1.7", &png[..20], &png[..png.len() / 2]] {
            assert_eq!(read(bytes), Err(ImageProblem::NoImage));
        }
        let white = paint(png::ColorType::Grayscale, (64, 64), &[255; 64 * 64]);
        assert_eq!(read(&white), Err(ImageProblem::NoQr));
        let mut huge = png;
        // The header's width and height, and its checksum.
        huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let sum = crc(&huge[12..29]).to_be_bytes();
        huge[29..33].copy_from_slice(&sum);
        assert_eq!(read(&huge), Err(ImageProblem::TooLarge));
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |mut crc, byte| {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
            crc
        })
    }
}
