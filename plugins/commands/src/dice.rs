//! Dice: `2d6+1` is two dice of six faces, and one more.

use confab_plugin_sdk::random;

/// The most dice of one throw.
const DICE_MAX: u64 = 20;
/// The most faces of a die, and the most that is added to a throw.
const FACES_MAX: u64 = 1000;

/// Dice that are about to be thrown.
#[derive(Debug, PartialEq, Eq)]
pub struct Dice {
    count: u64,
    faces: u64,
    more: i64,
}

impl Dice {
    /// Reads what somebody wants to throw: nothing at all is one die of six faces. An error is a sentence for them.
    pub fn read(written: &str) -> Result<Self, String> {
        let written: String = written.split_whitespace().collect::<String>().to_ascii_lowercase();
        if written.is_empty() {
            return Ok(Self { count: 1, faces: 6, more: 0 });
        }
        let dice = Self::parts(&written).ok_or("dice are written like 2d6 or d20+3")?;
        if !(1..=DICE_MAX).contains(&dice.count) || !(1..=FACES_MAX).contains(&dice.faces) {
            return Err(format!("there are at most {DICE_MAX} dice of at most {FACES_MAX} faces"));
        }
        Ok(dice)
    }

    fn parts(written: &str) -> Option<Self> {
        let (count, rest) = written.split_once('d')?;
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (faces, more) = rest.split_at(end);
        let count = if count.is_empty() { 1 } else { number(count)? };
        let more = match more.split_at_checked(1) {
            None => 0,
            Some((sign, more)) => {
                let more = i64::try_from(number(more).filter(|more| *more <= FACES_MAX)?).ok()?;
                if sign == "-" { -more } else { more }
            }
        };
        Some(Self { count, faces: number(faces)?, more })
    }

    /// Throws them, and says what they show: `2d6+1: 3 + 5 + 1 = 9`.
    pub fn throw(&self) -> String {
        let shown: Vec<u64> = (0..self.count).map(|_| random::between_one_and(self.faces)).collect();
        let sum = i64::try_from(shown.iter().sum::<u64>()).unwrap_or(i64::MAX).saturating_add(self.more);
        let mut said: String = shown.iter().map(u64::to_string).collect::<Vec<_>>().join(" + ");
        let sign = if self.more < 0 { '-' } else { '+' };
        let more = if self.more == 0 { String::new() } else { format!("{sign}{}", self.more.abs()) };
        if self.more != 0 {
            said = format!("{said} {sign} {}", self.more.abs());
        }
        let sum = if self.count == 1 && self.more == 0 { said } else { format!("{said} = {sum}") };
        format!("{}d{}{more}: {sum}", self.count, self.faces)
    }
}

/// A number of digits and nothing else: no sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_are_read_as_people_write_them() {
        let dice = |count, faces, more| Ok(Dice { count, faces, more });
        assert_eq!(Dice::read(""), dice(1, 6, 0));
        assert_eq!(Dice::read("2d6"), dice(2, 6, 0));
        assert_eq!(Dice::read(" D20 + 3 "), dice(1, 20, 3));
        assert_eq!(Dice::read("3d8-2"), dice(3, 8, -2));
        for wrong in ["2", "d", "2x6", "-1d6", "2d6+", "2d6+x", "2d6+9999", "dd", "é"] {
            assert!(Dice::read(wrong).unwrap_err().contains("2d6"), "{wrong}");
        }
        for much in ["21d6", "0d6", "1d0", "1d1001"] {
            assert!(Dice::read(much).unwrap_err().contains("at most"), "{much}");
        }
    }

    #[test]
    fn a_throw_shows_each_die_and_the_sum() {
        let throw = |written| Dice::read(written).unwrap().throw();
        assert_eq!(throw("3d1"), "3d1: 1 + 1 + 1 = 3");
        assert_eq!(throw("1d1-4"), "1d1-4: 1 - 4 = -3");
        assert_eq!(throw("d1"), "1d1: 1");
    }
}
