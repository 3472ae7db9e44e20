//! The options in a handler's attribute, read as the kind's type in `microagent-schema` says: it names the
//! options and checks their values. An expression is left to the compiler, and to the start of the agent.

use microagent_schema::{Form, HandlerOptions, OptionError};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use serde_json::{Map, Value as Json};
use syn::{Error, Expr, Result, ext::IdentExt};

use super::{
    Options, groups,
    parts::{self, Part},
};
use crate::{
    agent::values::{Read, Value},
    problems::Problems,
};

/// The options that were read so far.
pub(super) struct Reading<T> {
    defaults: T,
    given: Vec<Given>,
    /// The values that are written down.
    known: Map<String, Json>,
    /// The options whose values are not known here: expressions, and what could not be read.
    unknown: Vec<String>,
}

struct Given {
    name: String,
    /// The tokens that errors about the value point to.
    place: TokenStream,
    read: Read,
}

impl<T: HandlerOptions> Reading<T> {
    pub(super) fn over(defaults: T) -> Self {
        Self {
            defaults,
            given: Vec::new(),
            known: Map::new(),
            unknown: Vec::new(),
        }
    }

    /// Reads a part; returns an expression without a name, which is for the attribute.
    pub(super) fn take(&mut self, part: Part) -> Result<Option<Expr>> {
        match part {
            Part::Positional(expression) => match word::<T>(&expression) {
                Some(name) => self.switch_on(&name)?,
                None => return Ok(Some(expression)),
            },
            Part::Set(name, value) => self.set(&name, &value)?,
            Part::Group(name, inside) => self.group(&name, inside)?,
        }
        Ok(None)
    }

    /// Sets the option that needs no name.
    pub(super) fn set_first(&mut self, option: &str, expression: Expr) -> Result<()> {
        let value = Value::from(option, expression);
        let form = T::form(option).map_err(|error| value.refused(error.message))?;
        self.refuse_second(option, &value.place())?;
        let read = value.read(form);
        self.add(option, value.place(), read)
    }

    /// Returns the value that is written down for this option.
    pub(super) fn known(&self, option: &str) -> Option<&Json> {
        self.known.get(option)
    }

    /// Returns whether the option is set, or was meant to be.
    pub(super) fn has(&self, option: &str) -> bool {
        self.given.iter().any(|given| given.name == option)
            || self.unknown.iter().any(|name| name == option)
    }

    fn switch_on(&mut self, name: &Ident) -> Result<()> {
        match form::<T>(name)? {
            Form::Choices { .. } => self.set(name, &Value::switched_on(name)),
            form => Err(parts::without_value(name, form)),
        }
    }

    fn set(&mut self, name: &Ident, value: &Value) -> Result<()> {
        let form = form::<T>(name)?;
        let option = name.unraw().to_string();
        self.refuse_second(&option, name)?;
        let read = match form {
            Form::Times => Err(value.refused(format!(
                "write `{name}(1, 4, 9)`: the delays before each retry"
            ))),
            Form::Texts => Err(value.refused(format!("write `{name}(name = \"value\")`"))),
            form => value.read(form),
        };
        self.add(&option, value.place(), read)
    }

    fn group(&mut self, name: &Ident, inside: TokenStream) -> Result<()> {
        let form = form::<T>(name)?;
        self.refuse_second(&name.to_string(), name)?;
        let read = match form {
            Form::Times => groups::times(name, inside),
            Form::Texts => groups::texts(name, inside),
            Form::Choices { of, choices } => groups::choices(of, choices, inside),
            _ => Err(Error::new(name.span(), format!("write `{name} = …`"))),
        };
        self.add(&name.to_string(), name.to_token_stream(), read)
    }

    fn refuse_second(&self, option: &str, place: &impl ToTokens) -> Result<()> {
        if self.has(option) {
            Err(Error::new_spanned(
                place,
                format!("duplicate option `{option}`"),
            ))
        } else {
            Ok(())
        }
    }

    fn add(&mut self, name: &str, place: TokenStream, read: Result<Read>) -> Result<()> {
        let checked = read.and_then(|read| {
            self.check(name, &place, read.known.as_ref())?;
            Ok(read)
        });
        match checked {
            Ok(read) => {
                match &read.known {
                    Some(known) => drop(self.known.insert(name.to_owned(), known.clone())),
                    None => self.unknown.push(name.to_owned()),
                }
                let name = name.to_owned();
                self.given.push(Given { name, place, read });
                Ok(())
            }
            Err(error) => {
                self.unknown.push(name.to_owned());
                Err(error)
            }
        }
    }

    /// Checks that the option's type can read the value.
    fn check(&self, name: &str, place: &TokenStream, known: Option<&Json>) -> Result<()> {
        let Some(known) = known else { return Ok(()) };
        let given = Map::from_iter([(name.to_owned(), known.clone())]);
        let read = self.defaults.overlaid(&given);
        read.map(drop)
            .map_err(|error| Error::new_spanned(place, error))
    }

    /// Checks the values together, and returns the calls of the builder. The option `first` is not among
    /// them: the builder begins with it.
    pub(super) fn finish(self, first: &str, problems: &mut Problems) -> Options {
        match self.defaults.overlaid(&self.known) {
            Ok(options) => self.add_violations(options.violations(), problems),
            Err(error) => self.add_violations(vec![error], problems),
        }
        let mut options = Options::default();
        for given in self.given {
            let setter = format_ident!("{}", given.name);
            if given.name == first {
                options.first = given.read.arguments.into_iter().next();
                continue;
            }
            let arguments = given.read.arguments;
            options.setters.extend(quote!(#(.#setter(#arguments))*));
        }
        options
    }

    fn add_violations(&self, violations: Vec<OptionError>, problems: &mut Problems) {
        for violation in violations {
            let named = [violation.option.as_deref(), violation.other];
            let mut named = named.into_iter().flatten();
            if named
                .clone()
                .any(|name| self.unknown.iter().any(|unknown| unknown == name))
            {
                continue;
            }
            let given = named.find_map(|name| self.given.iter().find(|given| given.name == name));
            if let Some(given) = given {
                problems.at(&given.place, &violation);
            }
        }
    }
}

fn form<T: HandlerOptions>(name: &Ident) -> Result<Form> {
    let form = T::form(&name.unraw().to_string());
    form.map_err(|error| parts::unknown::<T>(name, &error))
}

/// Returns the name of an option that stands alone, of this kind of handler or of others.
fn word<T: HandlerOptions>(expression: &Expr) -> Option<Ident> {
    let Expr::Path(path) = expression else {
        return None;
    };
    let word = path.path.get_ident()?;
    let name = word.to_string();
    let absent = T::ABSENT.iter().any(|(absent, _)| *absent == name);
    (absent || T::form(&name).is_ok()).then(|| word.clone())
}
