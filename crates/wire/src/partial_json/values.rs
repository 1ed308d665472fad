//! Reading what has no inside: keys, strings, numbers, words. Each answers whether there is more input.

use serde_json::Value;

use super::Change;
use super::input::Input;
use super::machine::{Machine, Result, State};
use super::number::{NumberState, number};
use super::output::Output;
use super::text::{End, TextScanner};

impl Machine {
    pub(super) fn key(&mut self, mut scanner: TextScanner, input: &mut Input<'_>) -> Result<bool> {
        let (piece, end) = scanner.scan(input);
        self.frame.key.push_str(&piece);
        match end {
            End::Closed => self.state = State::Colon,
            End::Starved => {
                self.state = State::Key(scanner);
                return Ok(false);
            }
            End::Bad(error) => return Err(error),
        }
        Ok(true)
    }

    /// Goes on with a string value; it is shown as far as it came also where it ends in an error.
    pub(super) fn text(
        &mut self,
        node: &mut Value,
        mut scanner: TextScanner,
        shown: bool,
        input: &mut Input<'_>,
        out: &mut Output<'_>,
    ) -> Result<bool> {
        let (piece, end) = scanner.scan(input);
        if !shown {
            self.frame.show(node, Value::String(piece.as_ref().to_owned()));
        } else if !piece.is_empty()
            && let Some(Value::String(text)) = self.frame.shown(node)
        {
            text.push_str(&piece);
        }
        if !piece.is_empty() {
            out.push(|| Change::Grew { path: self.frame.child_path(), piece: piece.into_owned() });
        }
        match end {
            End::Closed => {
                self.state = State::AfterValue;
                out.push(|| Change::Finished { path: self.frame.child_path() });
                Ok(true)
            }
            End::Starved => {
                self.state = State::Text { scanner, shown: true };
                Ok(false)
            }
            End::Bad(error) => Err(error),
        }
    }

    pub(super) fn number(
        &mut self,
        node: &mut Value,
        mut state: NumberState,
        start: usize,
        input: &mut Input<'_>,
        out: &mut Output<'_>,
    ) -> Result<bool> {
        let piece = input.take_while(|byte| match state.next(byte) {
            Some(next) => {
                state = next;
                true
            }
            None => false,
        });
        if input.peek().is_none() {
            self.literal.push_str(piece);
            self.state = State::Number { state, start };
            return Ok(false);
        }
        if !state.is_whole() {
            return Err(input.unexpected("a digit"));
        }
        self.number_ended(node, start, piece, out)?;
        Ok(true)
    }

    /// A number ended with this last piece.
    pub(super) fn number_ended(
        &mut self,
        node: &mut Value,
        start: usize,
        piece: &str,
        out: &mut Output<'_>,
    ) -> Result<()> {
        let value = if self.literal.is_empty() {
            number(piece, start)?
        } else {
            self.literal.push_str(piece);
            let value = number(&self.literal, start)?;
            self.literal.clear();
            value
        };
        self.scalar(node, Value::Number(value), out);
        Ok(())
    }

    pub(super) fn word(
        &mut self,
        node: &mut Value,
        word: &'static str,
        mut seen: usize,
        input: &mut Input<'_>,
        out: &mut Output<'_>,
    ) -> Result<bool> {
        while let Some(letter) = word.as_bytes().get(seen) {
            match input.peek() {
                None => {
                    self.state = State::Word { word, seen };
                    return Ok(false);
                }
                Some(byte) if byte == *letter => input.advance(),
                Some(_) => return Err(input.unexpected(word)),
            }
            seen += 1;
        }
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        };
        self.scalar(node, value, out);
        Ok(true)
    }

    fn scalar(&mut self, node: &mut Value, value: Value, out: &mut Output<'_>) {
        self.frame.begin();
        out.push(|| Change::Scalar { path: self.frame.child_path(), value: value.clone() });
        self.frame.show(node, value);
        self.state = State::AfterValue;
    }
}
