//! QR codes for terminals.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// A text as a picture of half blocks for a terminal that writes light on dark, as most do; empty when it is too long for one.
///
/// It has the least error correction, since a screen has no stains: up to 425 bytes, as links with long names have, fit 80 columns.
pub(crate) fn qr(text: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return String::new() };
    code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_drawn_and_a_novel_is_not() {
        let drawn = qr("tg://socks?server=192.168.1.5&port=8080");
        let widths: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert!(widths.len() > 14 && widths.iter().all(|width| *width == widths[0]), "{drawn}");
        assert!(drawn.contains('▀') || drawn.contains('▄'));
        assert_eq!(qr(&"x".repeat(10_000)), "");
        let widest = qr(&"x".repeat(425));
        assert!(widest.lines().all(|line| line.chars().count() <= 80), "{widest}");
    }
}
