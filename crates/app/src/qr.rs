//! QR codes for terminals.

use qrcode::{QrCode, render::unicode::Dense1x2};

/// A text as a picture of half blocks for a terminal that writes light on dark, as most do; empty when it is too long for one.
pub(crate) fn qr(text: &str) -> String {
    let Ok(code) = QrCode::new(text) else { return String::new() };
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
    }
}
