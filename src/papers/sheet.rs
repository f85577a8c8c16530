//! How papers are set: lines that wrap, pages that follow each other, one PDF.
//!
//! Text goes glyph by glyph from the font's own map: what is set has exactly the width that the wrapping reckoned with, and
//! scripts that need shaping are not among those of the papers. All measures are points from the upper left corner of A4.

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::{DateTime as PdfDate, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};
use skrifa::instance::{LocationRef, Size as FontSize};
use skrifa::{FontRef, MetadataProvider as _};

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use crate::error::{Error, Result};
use crate::qr::Qr;

/// DejaVu Sans: it has the letters of every language of the region (`fonts/LICENSE`).
const FILES: [&[u8]; 2] = [
    include_bytes!("fonts/DejaVuSans.ttf").as_slice(),
    include_bytes!("fonts/DejaVuSans-Bold.ttf").as_slice(),
];

const PAGE: (f32, f32) = (595.28, 841.89);
/// Left, right and upper margin.
pub(super) const MARGIN: f32 = 56.7;
/// What is written ends here; the footer stands below.
const BOTTOM: f32 = 780.0;
/// One millimetre.
pub(super) const MM: f32 = 72.0 / 25.4;

/// What stands for a letter that the font lacks.
const UNKNOWN: char = '\u{fffd}';

/// How a text is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub size: f32,
    pub bold: bool,
    /// 0 is black, 255 white.
    pub grey: u8,
}

impl Style {
    pub const TITLE: Self = Self { size: 17.0, bold: true, grey: 0 };
    pub const HEADING: Self = Self { size: 10.0, bold: true, grey: 0 };
    pub const VALUE: Self = Self { size: 10.5, bold: false, grey: 0 };
    pub const STRONG: Self = Self { size: 10.5, bold: true, grey: 0 };
    pub const OTHER: Self = Self { size: 9.5, bold: false, grey: 90 };
    pub const LABEL: Self = Self { size: 7.0, bold: false, grey: 90 };

    fn leading(self) -> f32 {
        self.size * 1.3
    }
}

enum Mark {
    Line { x: f32, y: f32, text: String, style: Style },
    Picture { at: (f32, f32), size: (f32, f32), image: Image },
    Frame { at: (f32, f32), size: (f32, f32) },
    Code { at: (f32, f32), side: f32, code: Qr },
}

struct Face {
    font: Font,
    letters: FontRef<'static>,
}

impl Face {
    fn open(bytes: &'static [u8]) -> Result<Self> {
        let font = Font::new(bytes.into(), 0).ok_or_else(|| Error::bug("a font is broken"))?;
        let letters = FontRef::new(bytes);
        let letters = letters.map_err(|error| Error::internal("a font is broken", error))?;
        Ok(Self { font, letters })
    }

    /// Gives a letter's glyph and its width in parts of the size.
    fn glyph(&self, letter: char) -> (u32, f32) {
        let map = self.letters.charmap();
        let id = map.map(letter).or_else(|| map.map(UNKNOWN)).unwrap_or_default();
        let metrics = self.letters.glyph_metrics(FontSize::unscaled(), LocationRef::default());
        (id.to_u32(), metrics.advance_width(id).unwrap_or_default() / self.font.units_per_em())
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.glyph(letter).1 * size).sum()
    }
}

/// A paper in the making.
pub(super) struct Sheet {
    faces: [Face; 2],
    pages: Vec<Vec<Mark>>,
    left: f32,
    y: f32,
}

impl Sheet {
    pub fn new() -> Result<Self> {
        let [regular, bold] = FILES;
        let faces = [Face::open(regular)?, Face::open(bold)?];
        Ok(Self { faces, pages: vec![Vec::new()], left: MARGIN, y: MARGIN })
    }

    /// Begins everything that follows at `left`.
    pub fn indent(&mut self, left: f32) {
        self.left = left;
    }

    pub const fn y(&self) -> f32 {
        self.y
    }

    pub fn skip(&mut self, points: f32) {
        self.y += points;
    }

    /// Writes a text from where the last one ended, in as many lines and pages as it takes.
    pub fn text(&mut self, text: &str, style: Style) {
        let width = PAGE.0 - MARGIN - self.left;
        for line in self.wrap(text, style, width) {
            self.room(style.leading());
            self.y += style.leading();
            let y = self.y - style.size * 0.3;
            self.mark(Mark::Line { x: self.left, y, text: line, style });
        }
    }

    /// Writes a text in a column of its own, on this page, not moving what follows; gives where it ends.
    pub fn beside(&mut self, text: &str, style: Style, at: (f32, f32), width: f32) -> f32 {
        let mut y = at.1;
        for line in self.wrap(text, style, width) {
            y += style.leading();
            let baseline = y - style.size * 0.3;
            self.mark(Mark::Line { x: at.0, y: baseline, text: line, style });
        }
        y
    }

    /// Begins a new page unless so much fits on this one.
    pub fn room(&mut self, points: f32) {
        if self.y + points > BOTTOM {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    /// Puts a JPEG into a box, as large as fits, in its middle.
    pub fn picture(&mut self, jpeg: &[u8], at: (f32, f32), room: (f32, f32)) -> Result<()> {
        let image = Image::from_jpeg(jpeg.to_vec().into(), true)
            .map_err(|error| Error::bug(format!("a photograph cannot be printed: {error}")))?;
        let (width, height) = image.size();
        let (width, height) = (width as f32, height as f32);
        let scale = (room.0 / width).min(room.1 / height);
        let size = (width * scale, height * scale);
        let at = (at.0 + (room.0 - size.0) / 2.0, at.1 + (room.1 - size.1) / 2.0);
        self.mark(Mark::Picture { at, size, image });
        Ok(())
    }

    /// Draws the outline of a box.
    pub fn frame(&mut self, at: (f32, f32), size: (f32, f32)) {
        self.mark(Mark::Frame { at, size });
    }

    /// Draws a QR whose modules fill a square; what is around it is the caller's to keep white.
    pub fn code(&mut self, code: Qr, at: (f32, f32), side: f32) {
        self.mark(Mark::Code { at, side, code });
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn wrap(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        let face = &self.faces[usize::from(style.bold)];
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let gap = if line.is_empty() { "" } else { " " };
                let longer = format!("{line}{gap}{word}");
                if face.width(&longer, style.size) <= width {
                    line = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                // A word that fits into no line goes on in the next one.
                for letter in word.chars() {
                    line.push(letter);
                    if line.chars().count() > 1 && face.width(&line, style.size) > width {
                        line.pop();
                        lines.push(std::mem::replace(&mut line, letter.to_string()));
                    }
                }
            }
            lines.push(line);
        }
        lines
    }

    /// Prints it with a title for the reader's window, a line at the foot of each page, and the instant that it is of.
    pub fn print(self, title: &str, foot: &str, at: DateTime<Utc>) -> Result<Vec<u8>> {
        let Self { faces, pages, .. } = self;
        let settings = SerializeSettings { enable_tagging: false, ..SerializeSettings::default() };
        let mut document = Document::new_with(settings);
        document.set_metadata(
            Metadata::new()
                .title(title.to_owned())
                .creator("Propusk".to_owned())
                .language("ru".to_owned())
                .creation_date(pdf_date(at)),
        );
        let of = pages.len();
        for (index, marks) in pages.into_iter().enumerate() {
            let size = PageSettings::from_wh(PAGE.0, PAGE.1);
            let mut page = document.start_page_with(size.unwrap_or_default());
            let mut surface = page.surface();
            for mark in marks {
                draw(&mut surface, &faces, mark);
            }
            let text = format!("{foot} · {} / {of}", index + 1);
            let (style, y) = (Style::LABEL, PAGE.1 - MARGIN * 0.6);
            draw(&mut surface, &faces, Mark::Line { x: MARGIN, y, text, style });
            surface.finish();
            page.finish();
        }
        document.finish().map_err(|error| Error::bug(format!("a paper was not printed: {error:?}")))
    }
}

fn pdf_date(at: DateTime<Utc>) -> PdfDate {
    let small = |number: u32| u8::try_from(number).unwrap_or_default();
    PdfDate::new(u16::try_from(at.year()).unwrap_or_default())
        .month(small(at.month()))
        .day(small(at.day()))
        .hour(small(at.hour()))
        .minute(small(at.minute()))
        .second(small(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}

fn paint(grey: u8) -> Fill {
    Fill {
        paint: luma::Color::new(grey).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}

fn draw(surface: &mut Surface<'_>, faces: &[Face; 2], mark: Mark) {
    match mark {
        Mark::Line { x, y, text, style } => {
            let face = &faces[usize::from(style.bold)];
            let glyphs: Vec<KrillaGlyph> = text
                .char_indices()
                .map(|(at, letter)| {
                    let (id, width) = face.glyph(letter);
                    let range = at..at + letter.len_utf8();
                    KrillaGlyph::new(GlyphId::new(id), width, 0.0, 0.0, 0.0, range, None)
                })
                .collect();
            surface.set_fill(Some(paint(style.grey)));
            let (start, font) = (Point::from_xy(x, y), face.font.clone());
            surface.draw_glyphs(start, &glyphs, font, &text, style.size, false);
        }
        Mark::Picture { at, size, image } => {
            let Some(size) = Size::from_wh(size.0, size.1) else { return };
            surface.push_transform(&Transform::from_translate(at.0, at.1));
            surface.draw_image(image, size);
            surface.pop();
        }
        Mark::Frame { at, size } => {
            let line = 0.5;
            let mut path = PathBuilder::new();
            for (x, y, width, height) in [
                (at.0, at.1, size.0, line),
                (at.0, at.1 + size.1 - line, size.0, line),
                (at.0, at.1, line, size.1),
                (at.0 + size.0 - line, at.1, line, size.1),
            ] {
                rect(&mut path, x, y, width, height);
            }
            fill(surface, path, 120);
        }
        Mark::Code { at, side, code } => {
            let module = side / code.width() as f32;
            let mut path = PathBuilder::new();
            for (x, y, run) in code.runs() {
                let (x, y) = (at.0 + x as f32 * module, at.1 + y as f32 * module);
                rect(&mut path, x, y, run as f32 * module, module);
            }
            fill(surface, path, 0);
        }
    }
}

fn rect(path: &mut PathBuilder, x: f32, y: f32, width: f32, height: f32) {
    if let Some(rect) = Rect::from_xywh(x, y, width, height) {
        path.push_rect(rect);
    }
}

fn fill(surface: &mut Surface<'_>, path: PathBuilder, grey: u8) {
    if let Some(path) = path.finish() {
        surface.set_fill(Some(paint(grey)));
        surface.draw_path(&path);
    }
}
