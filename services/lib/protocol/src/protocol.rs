use tocsin_model::Milliseconds;
use toml::Spanned;

use crate::fault::{FAULTS_MAX, Fault, Problem, Refused};
use crate::file::{self, AxisTable, File, MatrixTable, NamedTable, StepTable, Text};
use crate::language::{Logic, Scope, check, seconds};
use crate::matrix::{Axis, Band, Matrix};

/// A protocol: who does what at which level, and what it takes to reach one.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// Its name: with the version it is what an incident keeps.
    pub name: String,
    /// Its version, from 1 on. A published one never changes.
    pub version: u32,
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub summary: String,
    /// Where it comes from.
    pub sources: Vec<Source>,
    /// Who acts.
    pub roles: Vec<Role>,
    /// The classes of participants.
    pub classes: Vec<Class>,
    /// What only people can answer, with yes or no.
    pub questions: Vec<Question>,
    /// What levels are reached by.
    pub criteria: Vec<Criterion>,
    /// Tables of outcomes.
    pub matrices: Vec<Matrix>,
    /// From the first, whose criterion is that of activation, on.
    pub levels: Vec<Level>,
    /// What it takes to conclude, and what is done then.
    pub conclusion: Conclusion,
}

/// A public document that a protocol follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its title.
    pub title: String,
    /// Who published it.
    pub publisher: String,
    /// When.
    pub date: String,
    /// What of the protocol is a paraphrase of it, and what is not from it.
    pub paraphrase: String,
}

/// Somebody who acts: a name and what it says.
pub type Role = Question;
/// A class of participants: a name and what it says.
pub type Class = Question;

/// What only people can answer: a name for `--answer` and criteria, and the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its name.
    pub name: String,
    /// In words.
    pub says: String,
}

/// A named criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    /// Its name.
    pub name: String,
    /// When it is met.
    pub rule: Rule,
}

/// When something is met.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// In words.
    pub says: String,
    /// In the language of criteria.
    pub when: String,
    /// How long it must be met without interruption.
    pub held_for: Option<Milliseconds>,
    pub(crate) logic: Logic,
}

/// A level of response.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// What it takes to reach it.
    pub rule: Rule,
    /// What is done.
    pub steps: Vec<Step>,
}

/// The end.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// What it takes.
    pub rule: Rule,
    /// What is done.
    pub steps: Vec<Step>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub does: String,
    /// Which role does it.
    pub by: String,
    /// With which classes of participants.
    pub with: Vec<String>,
    /// Within which time.
    pub due: Milliseconds,
}

const TEXT_BYTES_MAX: usize = 1_000;
const WHEN_BYTES_MAX: usize = 2_000;
const DURATION_SECONDS_MAX: f64 = 30.0 * 86_400.0;

impl Protocol {
    /// Reads a protocol from its file.
    ///
    /// # Errors
    /// It is none: the first [`FAULTS_MAX`] reasons, each with its place.
    pub fn parse(text: &str) -> Result<Protocol, Refused> {
        let file = file::read(text)?;
        let mut reader = Reader {
            text,
            faults: Vec::new(),
        };
        let protocol = reader.protocol(file);
        match protocol {
            Some(protocol) if reader.faults.is_empty() => Ok(protocol),
            _ => {
                reader.faults.sort_by_key(|fault| (fault.line, fault.column));
                Err(Refused { faults: reader.faults })
            }
        }
    }
}

/// Gives meaning to a file, and collects what is wrong with it. What is `None` has left a fault.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn protocol(&mut self, file: File) -> Option<Protocol> {
        self.count(&file);
        if !self.faults.is_empty() {
            return None;
        }
        let name = self.name(&file.name, '-');
        if *file.version.get_ref() == 0 {
            self.fault(file.version.span().start, Problem::Version);
        }
        let title = self.says(&file.title, "the title");
        let summary = self.says(&file.summary, "the summary");
        let sources = file.sources.iter().map(|source| Source {
            title: self.says(&source.title, "the title"),
            publisher: self.says(&source.publisher, "the publisher"),
            date: self.says(&source.date, "the date"),
            paraphrase: self.says(&source.paraphrase, "what is a paraphrase"),
        });
        let sources = sources.collect();
        let roles = self.named(&file.roles);
        let classes = self.named(&file.classes);
        let mut scope = Scope::default();
        let questions = self.named(&file.questions);
        for (index, (table, question)) in file.questions.iter().zip(&questions).enumerate() {
            self.enter(&table.name, scope.add_question(&question.name, index));
        }
        let mut criteria = Vec::new();
        for table in &file.criteria {
            let name = self.name(&table.name, '_');
            let rule = self.rule(&table.says, &table.when, table.held_for.as_ref(), &scope);
            // A criterion that was refused still has its name, so that those behind it are not refused for it.
            self.enter(&table.name, scope.add_criterion(&name, criteria.len()));
            criteria.push(rule.map(|rule| Criterion { name, rule }));
        }
        let mut matrices = Vec::new();
        for table in &file.matrices {
            let matrix = self.matrix(table, &scope);
            let outcomes: Vec<String> = table.outcomes.iter().map(|outcome| outcome.get_ref().clone()).collect();
            let name = table.name.get_ref().clone();
            matrices.push((name, outcomes, matrix));
        }
        for (index, (name, outcomes, _)) in matrices.iter().enumerate() {
            self.enter(&file.matrices[index].name, scope.add_matrix(name, index, outcomes));
        }
        let acting = Acting {
            roles: &roles,
            classes: &classes,
        };
        let mut levels: Vec<Option<Level>> = Vec::new();
        let mut level_names: Vec<&str> = Vec::new();
        for table in &file.levels {
            let name = self.name(&table.name, '_');
            if level_names.contains(&table.name.get_ref().as_str()) {
                self.fault(table.name.span().start, Problem::Taken(name.clone()));
            }
            level_names.push(table.name.get_ref());
            let steps = self.steps(&table.steps, &acting);
            let rule = self.rule(&table.says, &table.when, table.held_for.as_ref(), &scope);
            levels.push(rule.map(|rule| Level { name, rule, steps }));
        }
        let end = &file.conclusion;
        let steps = self.steps(&end.steps, &acting);
        let rule = self.rule(&end.says, &end.when, end.held_for.as_ref(), &scope);
        Some(Protocol {
            name,
            version: *file.version.get_ref(),
            title,
            summary,
            sources,
            roles,
            classes,
            questions,
            criteria: criteria.into_iter().collect::<Option<_>>()?,
            matrices: matrices
                .into_iter()
                .map(|(_, _, matrix)| matrix)
                .collect::<Option<_>>()?,
            levels: levels.into_iter().collect::<Option<_>>()?,
            conclusion: Conclusion { rule: rule?, steps },
        })
    }

    /// Holds what there is to its limits before anything is read.
    fn count(&mut self, file: &File) {
        let steps = file
            .levels
            .iter()
            .map(|level| level.steps.len())
            .chain([file.conclusion.steps.len()]);
        let axes = || file.matrices.iter().flat_map(|matrix| [&matrix.rows, &matrix.columns]);
        for (what, count, limit) in [
            ("sources", file.sources.len(), 8),
            ("roles", file.roles.len(), 16),
            ("classes", file.classes.len(), 16),
            ("questions", file.questions.len(), 32),
            ("criteria", file.criteria.len(), 64),
            ("matrices", file.matrices.len(), 4),
            ("levels", file.levels.len(), 8),
            ("steps of one level", steps.max().unwrap_or(0), 32),
            (
                "bands of one axis",
                axes().map(|axis| axis.bands.len()).max().unwrap_or(0),
                8,
            ),
            (
                "outcomes",
                file.matrices
                    .iter()
                    .map(|matrix| matrix.outcomes.len())
                    .max()
                    .unwrap_or(0),
                8,
            ),
        ] {
            if count > limit {
                self.fault(0, Problem::TooMany { what, count, limit });
            }
        }
        for (what, count) in [
            ("sources", file.sources.len()),
            ("roles", file.roles.len()),
            ("classes", file.classes.len()),
            ("levels", file.levels.len()),
        ] {
            if count == 0 {
                self.fault(0, Problem::NoneOf(what));
            }
        }
    }

    fn named(&mut self, tables: &[NamedTable]) -> Vec<Question> {
        let mut all: Vec<Question> = Vec::new();
        for table in tables {
            let name = self.name(&table.name, '_');
            if all.iter().any(|other| other.name == name) {
                self.fault(table.name.span().start, Problem::Taken(name.clone()));
            }
            let says = self.says(&table.says, "what it says");
            all.push(Question { name, says });
        }
        all
    }

    fn rule(&mut self, says: &Text, when: &Text, held_for: Option<&Text>, scope: &Scope) -> Option<Rule> {
        let says = self.says(says, "what it says");
        let held_for = held_for.map(|text| self.duration(text));
        let logic = self.logic(when, scope)?;
        Some(Rule {
            says,
            when: written(when),
            held_for,
            logic,
        })
    }

    fn logic(&mut self, when: &Text, scope: &Scope) -> Option<Logic> {
        let text = when.get_ref();
        if text.len() > WHEN_BYTES_MAX {
            let limit = WHEN_BYTES_MAX;
            self.fault(
                when.span().start,
                Problem::Text {
                    what: "a criterion",
                    limit,
                },
            );
            return None;
        }
        match check(text, scope) {
            Ok(logic) => Some(logic),
            Err((offset, problem)) => {
                let span = when.span();
                // A text that is written with escapes stands there in other letters: then its beginning is named.
                let written = self
                    .text
                    .get(span.clone())
                    .and_then(|written| written.find(text.as_str()));
                let at = written.map_or(span.start, |begin| span.start + begin + offset);
                self.fault(at, problem);
                None
            }
        }
    }

    fn matrix(&mut self, table: &MatrixTable, scope: &Scope) -> Option<Matrix> {
        let mut outcomes: Vec<String> = Vec::new();
        for outcome in &table.outcomes {
            let name = self.name(outcome, '_');
            if outcomes.contains(&name) {
                self.fault(outcome.span().start, Problem::Taken(name.clone()));
            }
            outcomes.push(name);
        }
        let name = self.name(&table.name, '_');
        let rows = self.axis(&table.rows, scope)?;
        let columns = self.axis(&table.columns, scope)?;
        let cells = table.cells.get_ref();
        let fits = cells.len() == rows.bands.len() && cells.iter().all(|row| row.len() == columns.bands.len());
        if !fits {
            let problem = "cells are one list for each band of the rows, with an outcome for each band of the columns";
            self.fault(table.cells.span().start, Problem::Matrix(problem));
            return None;
        }
        let mut places = Vec::new();
        for cell in cells.iter().flatten() {
            let place = outcomes.iter().position(|outcome| outcome == cell.get_ref());
            if place.is_none() {
                self.not_declared("outcome", cell);
            }
            places.push(place?);
        }
        Some(Matrix {
            name,
            outcomes,
            cells: places.chunks(columns.bands.len()).map(<[usize]>::to_vec).collect(),
            rows,
            columns,
        })
    }

    fn axis(&mut self, table: &AxisTable, scope: &Scope) -> Option<Axis> {
        let name = self.name(&table.name, '_');
        let first_alone = table
            .bands
            .iter()
            .enumerate()
            .all(|(place, band)| band.when.is_none() == (place == 0));
        if table.bands.is_empty() || !first_alone {
            let problem = "an axis has bands from the least to the gravest, and all but the first say `when`";
            self.fault(table.name.span().start, Problem::Matrix(problem));
            return None;
        }
        let mut bands: Vec<Band> = Vec::new();
        for band in &table.bands {
            let name = self.name(&band.name, '_');
            if bands.iter().any(|other| other.name == name) {
                self.fault(band.name.span().start, Problem::Taken(name.clone()));
            }
            let logic = match &band.when {
                Some(when) => Some(self.logic(when, scope)?),
                None => None,
            };
            let when = band.when.as_ref().map(written);
            bands.push(Band { name, when, logic });
        }
        Some(Axis { name, bands })
    }

    fn steps(&mut self, tables: &[StepTable], acting: &Acting<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        for table in tables {
            if !acting.roles.iter().any(|role| role.name == *table.by.get_ref()) {
                self.not_declared("role", &table.by);
            }
            for class in &table.with {
                if !acting.classes.iter().any(|known| known.name == *class.get_ref()) {
                    self.not_declared("class", class);
                }
            }
            steps.push(Step {
                does: self.says(&table.does, "what is done"),
                by: table.by.get_ref().clone(),
                with: table.with.iter().map(|class| class.get_ref().clone()).collect(),
                due: self.duration(&table.due),
            });
        }
        steps
    }

    fn name(&mut self, text: &Text, separator: char) -> String {
        let name = text.get_ref();
        let fits = (1..=48).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator);
        if !fits {
            let name = name.chars().take(48).collect();
            self.fault(text.span().start, Problem::Name { name, separator });
        }
        name.clone()
    }

    fn says(&mut self, text: &Text, what: &'static str) -> String {
        let said = text.get_ref().trim();
        if said.is_empty() || said.len() > TEXT_BYTES_MAX {
            let limit = TEXT_BYTES_MAX;
            self.fault(text.span().start, Problem::Text { what, limit });
        }
        said.to_owned()
    }

    fn duration(&mut self, text: &Text) -> Milliseconds {
        match seconds(text.get_ref()).filter(|seconds| (1.0..=DURATION_SECONDS_MAX).contains(seconds)) {
            Some(seconds) => Milliseconds((seconds * 1_000.0) as i64),
            None => {
                self.fault(text.span().start, Problem::Duration);
                Milliseconds(0)
            }
        }
    }

    fn enter(&mut self, name: &Spanned<String>, entered: Result<(), Problem>) {
        if let Err(problem) = entered {
            self.fault(name.span().start, problem);
        }
    }

    fn not_declared(&mut self, what: &'static str, text: &Text) {
        let name = text.get_ref().chars().take(48).collect();
        self.fault(text.span().start, Problem::NotDeclared { what, name });
    }

    fn fault(&mut self, offset: usize, problem: Problem) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::at(self.text, offset, problem));
        }
    }
}

struct Acting<'a> {
    roles: &'a [Question],
    classes: &'a [Question],
}

/// A criterion on one line.
fn written(when: &Text) -> String {
    when.get_ref().split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
