//! Which characters a name or a sentence of a person's may hold: those that a reader sees, where they stand.

/// Whether a character is a control of a terminal or of a text's direction, or takes no room. Two names that differ by
/// such a one look the same, and a sentence with one may read as another.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_told_from_what_is_not() {
        let unseen = "\n\u{1b}\u{7f}\u{200b}\u{200d}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}\u{2028}";
        assert!(unseen.chars().all(is_unseen));
        assert!(!"shops 店铺 Ünïcode – “quoted” e\u{301}".chars().any(is_unseen));
    }
}
