//! QR codes (ISO/IEC 18004) as pictures: the same bytes give the same picture.
//!
//! What stands in a code is its maker's business; here is how it is drawn.

use qrcode::{Color, EcLevel, QrCode};

use crate::error::{Error, ErrorCode, Result};

/// The quiet zone around a code, in modules.
const MARGIN: usize = 4;

/// How many pixels a module of a PNG is wide and high.
const PIXELS: usize = 8;

/// Draws a code as SVG, one unit for each module.
///
/// # Errors
/// Refused where the bytes are more than a code holds.
pub fn svg(content: &[u8]) -> Result<String> {
    let (width, dark) = modules(content)?;
    let side = width + 2 * MARGIN;
    let mut path = String::new();
    for (row, line) in dark.chunks(width).enumerate() {
        let mut column = 0;
        while column < width {
            let run = line.iter().skip(column).take_while(|dark| **dark).count();
            if run > 0 {
                let (x, y) = (column + MARGIN, row + MARGIN);
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            column += run.max(1);
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
         <path d=\"{path}\"/></svg>\n"
    ))
}

/// Draws a code as PNG, black on white, one bit for each pixel.
///
/// # Errors
/// As [`svg`].
pub fn png(content: &[u8]) -> Result<Vec<u8>> {
    let (width, dark) = modules(content)?;
    let side = (width + 2 * MARGIN) * PIXELS;
    let is_dark = |x: usize, y: usize| {
        let place = |pixel: usize| (pixel / PIXELS).checked_sub(MARGIN).filter(|at| *at < width);
        match (place(x), place(y)) {
            (Some(column), Some(row)) => dark.get(row * width + column).copied().unwrap_or(false),
            _ => false,
        }
    };
    let mut bits = Vec::with_capacity(side * side.div_ceil(8));
    for y in 0..side {
        for first in (0..side).step_by(8) {
            bits.push((0..8).fold(0u8, |byte, bit| {
                let x = first + bit;
                byte << 1 | u8::from(x < side && !is_dark(x, y))
            }));
        }
    }
    let side = u32::try_from(side).map_err(|_| Error::bug("a QR code of more than 2^32 pixels"))?;
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let failed = |error| Error::internal("cannot write a PNG", error);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&bits).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(picture)
}

/// Gives a code's width and its modules, row by row; `true` is dark.
fn modules(content: &[u8]) -> Result<(usize, Vec<bool>)> {
    let code = QrCode::with_error_correction_level(content, EcLevel::M).map_err(|_| {
        let detail = "This is more than a QR code holds; take the text instead.";
        Error::refused(ErrorCode::RuleRefused, detail)
    })?;
    let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
    Ok((code.width(), dark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_of_one_content_is_always_the_same_and_both_kinds_show_the_same_modules() {
        let content = "ST00012|Name=УФК".as_bytes();
        let (first, again) = (png(content).unwrap(), png(content).unwrap());
        assert_eq!(first, again);
        assert_eq!(svg(content).unwrap(), svg(content).unwrap());

        let (width, dark) = modules(content).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&first)).read_info().unwrap();
        let mut bits = vec![0; reader.output_buffer_size().unwrap()];
        let shown = reader.next_frame(&mut bits).unwrap();
        assert_eq!(shown.width as usize, (width + 2 * MARGIN) * PIXELS);
        for (index, dark) in dark.iter().enumerate() {
            let x = (index % width + MARGIN) * PIXELS;
            let y = (index / width + MARGIN) * PIXELS;
            let byte = bits[y * shown.line_size + x / 8];
            assert_eq!(byte >> (7 - x % 8) & 1 == 0, *dark, "module {index}");
        }
        assert_eq!(bits[0], 0xff, "the margin is white");
        let drawn: usize = svg(content)
            .unwrap()
            .split('M')
            .skip(2)
            .map(|run| run.split(['h', 'v']).nth(1).unwrap().parse::<usize>().unwrap())
            .sum();
        assert_eq!(drawn, dark.iter().filter(|dark| **dark).count());
    }

    #[test]
    fn more_than_a_code_holds_is_refused() {
        assert!(svg(&[b'x'; 3000]).is_err());
        assert!(png(&[b'x'; 3000]).is_err());
    }
}
