//! Tells from the bytes whether a document is taken.

use crate::error::{Error, ErrorCode, Result};

/// The largest document, in bytes: 10 MiB.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;

/// The largest picture, in pixels; a small file can unpack to more memory than a server has.
pub const MAX_PIXELS: u64 = 50_000_000;

/// How far from the end of a PDF its `%%EOF` may stand: what common readers tolerate.
const PDF_TAIL: usize = 1024;

/// Names a kind of document that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/pdf`.
    Pdf,
    /// `image/jpeg`.
    Jpeg,
    /// `image/png`.
    Png,
}

impl MediaType {
    /// Every kind that is taken.
    pub const ALL: [Self; 3] = [Self::Pdf, Self::Jpeg, Self::Png];

    /// Gives the name as it stands in `Content-Type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// Finds a kind by the value of a `Content-Type`, whatever its case and parameters.
    #[must_use]
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(essence))
    }
}

/// Tells the kind of a document from its bytes, or refuses it and says what to do.
///
/// `declared` is the request's `Content-Type`; it must agree with the bytes. Pictures are bounded by
/// [`MAX_PIXELS`], PDF files must be whole and may not be encrypted, run scripts or start programs.
///
/// # Errors
/// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::UnsupportedMediaType`] or [`ErrorCode::RuleRefused`].
pub fn check(bytes: &[u8], declared: &str) -> Result<MediaType> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::refused(
            ErrorCode::PayloadTooLarge,
            "The document is larger than 10 MiB; scan it with fewer dots per inch or in grey.",
        ));
    }
    if bytes.is_empty() {
        return Err(refused("The document is empty; choose the file again."));
    }
    let sniffed = sniff(bytes).ok_or_else(|| unsupported("The document is none of these."))?;
    match MediaType::parse(declared) {
        Some(kind) if kind == sniffed => {}
        Some(_) => return Err(unsupported("The document is not what Content-Type says.")),
        None => return Err(unsupported("Content-Type names none of these.")),
    }
    match sniffed {
        MediaType::Pdf => check_pdf(bytes)?,
        MediaType::Jpeg => check_pixels(jpeg_size(bytes))?,
        MediaType::Png => check_pixels(png_size(bytes))?,
    }
    Ok(sniffed)
}

fn refused(detail: &'static str) -> Error {
    Error::refused(ErrorCode::RuleRefused, detail)
}

fn unsupported(obstacle: &str) -> Error {
    Error::refused(
        ErrorCode::UnsupportedMediaType,
        format!(
            "Send a PDF, JPEG or PNG file with the Content-Type application/pdf, image/jpeg or \
             image/png. {obstacle}"
        ),
    )
}

fn sniff(bytes: &[u8]) -> Option<MediaType> {
    MediaType::parse(infer::get(bytes)?.mime_type())
}

fn check_pixels(size: Option<(u32, u32)>) -> Result<()> {
    let (width, height) =
        size.filter(|(width, height)| *width > 0 && *height > 0).ok_or_else(|| {
            refused("The picture is damaged; open it, save it again and send the new file.")
        })?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(refused("The picture has more than 50 million pixels; make it smaller."));
    }
    Ok(())
}

/// Reads width and height from the first chunk, and asks for the last one (PNG, third edition, 11.2).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    const IEND: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
    let header = bytes.get(8..24)?;
    if header.get(..8)? != b"\0\0\0\x0dIHDR" || !bytes.ends_with(IEND) {
        return None;
    }
    Some((be32(header.get(8..12)?)?, be32(header.get(12..16)?)?))
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Walks the segments to the start of frame (ITU-T T.81, annex B) and asks for a scan after it.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    let mut size = None;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // A marker may be preceded by any number of fill bytes.
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            0xd8 | 0xd9 | 0x00 => return None,
            _ => {}
        }
        let length = usize::from(be16(bytes.get(at + 2..at + 4)?)?);
        let body = bytes.get(at + 4..at + 2 + length.max(2))?;
        match marker {
            // DHT, JPG and DAC share the range of the start-of-frame markers.
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => {
                let height = u32::from(be16(body.get(1..3)?)?);
                let width = u32::from(be16(body.get(3..5)?)?);
                size = Some((width, height));
            }
            0xda => return size,
            _ => {}
        }
        at += 2 + length.max(2);
    }
}

fn be16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn check_pdf(bytes: &[u8]) -> Result<()> {
    let tail = &bytes[bytes.len().saturating_sub(PDF_TAIL)..];
    if !bytes.starts_with(b"%PDF-") || !tail.windows(5).any(|window| window == b"%%EOF") {
        return Err(refused("The PDF is damaged or cut off; save it again and send the new file."));
    }
    for name in pdf_names(bytes) {
        match name.as_slice() {
            b"Encrypt" => {
                return Err(refused("The PDF is encrypted; save it without a password."));
            }
            b"JavaScript" | b"Launch" => {
                return Err(refused(
                    "The PDF holds a script or starts a program; print it to a new PDF and send that.",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives every PDF name (ISO 32000-2, 7.3.5) with its `#xx` escapes undone.
fn pdf_names(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
    starts.map(|start| {
        let mut name = Vec::new();
        let mut rest = bytes.get(start..).unwrap_or_default();
        // No name looked for is longer than this.
        while let Some((first, after)) = rest.split_first()
            && name.len() < 16
            && !b"\0\t\n\x0c\r ()<>[]{}/%".contains(first)
        {
            let escaped = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            match (*first, escaped.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
                (b'#', Some(byte)) => {
                    name.push(byte);
                    rest = &after[2..];
                }
                (byte, _) => {
                    name.push(byte);
                    rest = after;
                }
            }
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend(b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82");
        bytes
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        bytes.extend(b"\xff\xff\xc4\0\x03\0\xff\xc0\0\x0b\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend(b"\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xd2\xff\xd9");
        bytes
    }

    fn pdf(body: &str) -> Vec<u8> {
        format!("%PDF-1.7\n1 0 obj\n<< /Type /Catalog {body} >>\nendobj\ntrailer <<>>\n%%EOF\n")
            .into_bytes()
    }

    fn code(bytes: &[u8], declared: &str) -> ErrorCode {
        check(bytes, declared).unwrap_err().code()
    }

    #[test]
    fn whole_documents_of_the_three_kinds_are_taken() {
        assert_eq!(check(&pdf(""), "application/pdf").unwrap(), MediaType::Pdf);
        assert_eq!(check(&jpeg(600, 800), "image/jpeg").unwrap(), MediaType::Jpeg);
        assert_eq!(check(&png(600, 800), "Image/PNG; charset=x").unwrap(), MediaType::Png);
    }

    #[test]
    fn size_counts() {
        assert_eq!(code(b"", "application/pdf"), ErrorCode::RuleRefused);
        let mut large = pdf("");
        large.splice(9..9, vec![b' '; MAX_BYTES]);
        assert_eq!(code(&large, "application/pdf"), ErrorCode::PayloadTooLarge);
    }

    #[test]
    fn other_kinds_and_false_declarations_are_refused() {
        assert_eq!(code(b"GIF89a\x01\0\x01\0", "image/gif"), ErrorCode::UnsupportedMediaType);
        assert_eq!(code(b"<html></html>", "text/html"), ErrorCode::UnsupportedMediaType);
        assert_eq!(code(&png(1, 1), "image/jpeg"), ErrorCode::UnsupportedMediaType);
        assert_eq!(code(&png(1, 1), "image/gif"), ErrorCode::UnsupportedMediaType);
        assert_eq!(code(b"MZ\x90\0", "application/pdf"), ErrorCode::UnsupportedMediaType);
    }

    #[test]
    fn pictures_are_bounded_by_their_pixels() {
        assert!(check(&png(10_000, 5_000), "image/png").is_ok());
        assert_eq!(code(&png(10_000, 5_001), "image/png"), ErrorCode::RuleRefused);
        assert_eq!(code(&png(u32::MAX, u32::MAX), "image/png"), ErrorCode::RuleRefused);
        assert_eq!(code(&jpeg(u16::MAX, u16::MAX), "image/jpeg"), ErrorCode::RuleRefused);
    }

    #[test]
    fn damaged_documents_are_refused_wherever_they_are_cut() {
        for (whole, kind) in [
            (png(600, 800), "image/png"),
            (jpeg(600, 800), "image/jpeg"),
            (pdf(""), "application/pdf"),
        ] {
            let needed = if kind == "image/jpeg" { 49 } else { whole.len() - 1 };
            for length in 0..needed {
                assert!(check(&whole[..length], kind).is_err(), "{kind} cut to {length} bytes");
            }
        }
        assert_eq!(code(&png(0, 1), "image/png"), ErrorCode::RuleRefused);
    }

    #[test]
    fn pdf_files_that_hide_or_do_something_are_refused() {
        for body in [
            "/Encrypt 5 0 R",
            "/OpenAction << /S /JavaScript /JS (app.alert(1)) >>",
            "/OpenAction<</S/Launch/F(cmd.exe)>>",
            "/OpenAction << /S /J#61vaScript >>",
        ] {
            assert_eq!(code(&pdf(body), "application/pdf"), ErrorCode::RuleRefused, "{body}");
        }
        assert!(
            check(&pdf("/EncryptMetadata true /Launcher /Lang (ru)"), "application/pdf").is_ok()
        );
    }
}
