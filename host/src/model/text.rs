//! Which characters a name or a sentence of a person's may hold: those that a reader sees, where they stand.

/// Whether a character is a control of a terminal or of a text's direction, or shows nothing. Two texts that differ by
/// such a one look the same, and a sentence with one may read as another.
///
/// Those are Unicode's `Default_Ignorable_Code_Point`, and those that have a glyph without ink (U+2800, U+1D159) or belong
/// to no text at all.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || u32::from(character) & 0xfffe == 0xfffe
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same in a name, which is compared with others by eye: there every blank but the usual one is taken for it, or for
/// none. Chinese sentences have the wide one (U+3000).
pub fn is_no_part_of_a_name(character: char) -> bool {
    is_unseen(character) || (character.is_whitespace() && character != ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_told_from_what_is_not() {
        let unseen = "\n\u{1b}\u{7f}\u{200b}\u{200d}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}\u{2028}\u{2800}\u{fe0f}\u{fe00}\
                      \u{3164}\u{fff0}\u{1bca0}\u{1d159}\u{1d173}\u{e01ef}\u{fdd0}\u{ffff}\u{10fffe}";
        for character in unseen.chars() {
            assert!(is_unseen(character) && is_no_part_of_a_name(character), "{character:?}");
        }
        for blank in "\u{a0}\u{1680}\u{2000}\u{200a}\u{202f}\u{205f}\u{3000}".chars() {
            assert!(is_no_part_of_a_name(blank), "{blank:?}");
        }
        let seen = "shops 店铺 Ünïcode – “quoted” e\u{301} \u{27ff}\u{2801}\u{fdf0}\u{fe10}\u{fffd}\u{1f69a}";
        assert!(!seen.chars().any(is_no_part_of_a_name));
        assert!(!"原因：\u{3000}重复".chars().any(is_unseen), "a sentence has blanks");
    }
}
