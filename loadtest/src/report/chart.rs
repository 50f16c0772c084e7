use std::fmt::Write as _;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::escape;

/// A plot of lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows and how to read it.
    pub caption: String,
    /// To the right.
    pub x: Axis,
    /// Upward.
    pub y: Axis,
    /// What is drawn; each in a colour of its own, in this order. Where they meet the first is on top.
    pub lines: Vec<Line>,
    /// Moments that matter: vertical lines.
    pub marks: Vec<Mark>,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// How it measures it.
    pub scale: Scale,
    /// Values that it shows in any case.
    pub shows: Vec<f64>,
}

/// How an axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    Linear,
    /// Equal steps are equal factors; what is not above zero is left out.
    Log,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// How broadly.
    pub weight: Weight,
    /// Its points, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Straight from point to point.
    Straight,
    /// Each value holds until the next point.
    Steps,
    /// Points alone.
    Points,
    /// Each two points are the ends of a thick stroke.
    Strokes,
}

/// How broadly a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As usual.
    Fine,
    /// Broad and pale, so that a line on top of it hides nothing of it.
    Broad,
}

/// A moment that matters.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where.
    pub x: f64,
    /// What happened.
    pub label: String,
}

const SIZE: (u32, u32) = (880, 360);
/// Told apart with and without colour vision (Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
/// A range with labels where we want them.
struct Labelled {
    range: Range<f64>,
    ticks: Vec<f64>,
}

/// The most labels of an axis.
const LABELS_MAX: usize = 11;
/// So few points are drawn larger.
const FEW: usize = 200;
const FONT: &str = "system-ui, sans-serif";

impl Axis {
    /// An axis of equal differences.
    pub fn linear(label: &str) -> Axis {
        Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            shows: Vec::new(),
        }
    }

    /// Per cent, of which all of 0 to 100 is shown.
    pub fn per_cent(label: &str) -> Axis {
        Axis {
            shows: vec![0.0, 100.0],
            ..Axis::linear(label)
        }
    }

    /// An axis of equal factors.
    pub fn log(label: &str) -> Axis {
        Axis {
            label: label.to_owned(),
            scale: Scale::Log,
            shows: Vec::new(),
        }
    }

    /// Where a value stands on the paper; `None` where it cannot.
    fn place(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear => value,
            Scale::Log => libm::log10(value),
        };
        place.is_finite().then_some(place)
    }

    /// What stands beside it.
    fn title(&self) -> String {
        match self.scale {
            Scale::Linear => self.label.clone(),
            Scale::Log => format!("{} (logarithmic scale)", self.label),
        }
    }

    fn text(&self, place: f64) -> String {
        match self.scale {
            Scale::Linear => super::short(place),
            Scale::Log => {
                let value = libm::pow(10.0, place);
                // A whole number is written as one, whatever the power leaves behind its point.
                let whole = libm::round(value);
                super::short(if (value - whole).abs() < 1e-6 * value {
                    whole
                } else {
                    value
                })
            }
        }
    }

    /// Where its labels stand.
    fn ticks(&self, range: &Range<f64>) -> Vec<f64> {
        if self.scale == Scale::Linear {
            return RangedCoordf64::from(range.clone()).key_points(LABELS_MAX);
        }
        // So many in a power of ten as there is room for.
        let digits: &[f64] = match range.end - range.start {
            span if span < 2.5 => &[1.0, 2.0, 5.0],
            span if span < 5.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let powers = libm::floor(range.start) as i32..=libm::ceil(range.end) as i32;
        let places = powers.flat_map(|power| digits.iter().map(move |digit| f64::from(power) + libm::log10(*digit)));
        places.filter(|place| range.contains(place)).collect()
    }

    /// From the least to the greatest place, with some room, and never empty.
    fn range(&self, places: impl Iterator<Item = f64>) -> Range<f64> {
        let shown = self.shows.iter().filter_map(|value| self.place(*value));
        let (low, high) = places
            .chain(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
                (low.min(place), high.max(place))
            });
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let low = if self.scale == Scale::Linear && low > 0.0 && low < high / 2.0 {
            0.0
        } else {
            low
        };
        let room = if high > low { (high - low) * 0.03 } else { 0.5 };
        low - if low == 0.0 { 0.0 } else { room }..high + room
    }
}

impl Line {
    /// A line.
    pub fn new(name: &str, style: Style, points: Vec<(f64, f64)>) -> Line {
        Line {
            name: name.to_owned(),
            style,
            weight: Weight::Fine,
            points,
        }
    }

    /// The same line, drawn broadly: for what another line may lie on.
    pub fn broad(self) -> Line {
        Line {
            weight: Weight::Broad,
            ..self
        }
    }

    fn stroke(&self, colour: RGBColor) -> ShapeStyle {
        match self.weight {
            Weight::Fine => colour.stroke_width(2),
            Weight::Broad => colour.mix(0.35).stroke_width(7),
        }
    }
}

impl Labelled {
    fn new(axis: &Axis, range: &Range<f64>) -> Self {
        Labelled {
            range: range.clone(),
            ticks: axis.ticks(range),
        }
    }
}

impl Ranged for Labelled {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl Chart {
    /// The plot as SVG.
    pub fn to_svg(&self) -> String {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw(&area)
                .expect("a plot into a string has no medium that could fail");
        }
        // Without a size of its own the plot takes the width of the page.
        let described = format!("role=\"img\" aria-label=\"{}\" ", escape(&self.caption));
        svg.replacen(&format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1), &described, 1)
    }

    /// What the colours stand for, as HTML below the plot, where it hides nothing of it; empty for a single line.
    pub fn legend(&self) -> String {
        if self.lines.len() < 2 {
            return String::new();
        }
        let mut legend = String::from("<div class=\"legend\">");
        for (line, RGBColor(red, green, blue)) in self.lines.iter().zip(COLOURS.into_iter().cycle()) {
            let colour = format!("rgb({red},{green},{blue})");
            let swatch = match (line.style, line.weight) {
                (Style::Points, _) => format!(" class=\"dot\" style=\"background:{colour}\""),
                (Style::Strokes, _) => format!(" style=\"border-top:6px solid {colour}\""),
                (_, Weight::Fine) => format!(" style=\"border-top:3px solid {colour}\""),
                (_, Weight::Broad) => format!(" style=\"border-top:7px solid {colour};opacity:.35\""),
            };
            let none = if self.placed(line).is_empty() { " (none)" } else { "" };
            let _ = write!(legend, "<span><i{swatch}></i>{}{none}</span>", escape(&line.name));
        }
        legend + "</div>"
    }

    /// Whether nothing is to be seen on it: there is no point, or all of them are the same.
    pub fn is_empty(&self) -> bool {
        let mut points = self.lines.iter().flat_map(|line| self.placed(line));
        let first = points.next();
        first.is_none_or(|first| points.all(|point| point == first))
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn std::error::Error>> {
        let placed: Vec<Vec<(f64, f64)>> = self.lines.iter().map(|line| self.placed(line)).collect();
        let all = || placed.iter().flatten();
        let marks = || self.marks.iter().filter_map(|mark| self.x.place(mark.x));
        let x_range = self.x.range(all().map(|point| point.0).chain(marks()));
        let y_range = self.y.range(all().map(|point| point.1));
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(Labelled::new(&self.x, &x_range), Labelled::new(&self.y, &y_range))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(228, 232, 236))
            .axis_style(RGBColor(140, 149, 159))
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 14))
            .x_desc(self.x.title())
            .y_desc(self.y.title())
            .x_label_formatter(&|place| self.x.text(*place))
            .y_label_formatter(&|place| self.y.text(*place))
            .draw()?;
        let drawn = self.lines.iter().zip(placed).zip(COLOURS.into_iter().cycle());
        for ((line, points), colour) in drawn.collect::<Vec<_>>().into_iter().rev() {
            let first = points.first().copied();
            match line.style {
                Style::Points => {
                    let points = points.into_iter();
                    let size = if points.len() > FEW { 2 } else { 4 };
                    chart.draw_series(points.map(|point| Circle::new(point, size, colour.mix(0.6).filled())))?;
                }
                Style::Strokes => {
                    let strokes = points.chunks_exact(2).map(|ends| ends.to_vec());
                    chart.draw_series(strokes.map(|ends| PathElement::new(ends, colour.stroke_width(6))))?;
                }
                // A line of one point would not be seen.
                Style::Straight | Style::Steps if points.iter().all(|point| Some(*point) == first) => {
                    chart.draw_series(first.map(|point| Circle::new(point, 4, colour.filled())))?;
                }
                Style::Straight => {
                    chart.draw_series(LineSeries::new(points, line.stroke(colour)))?;
                }
                Style::Steps => {
                    chart.draw_series(LineSeries::new(steps(&points), line.stroke(colour)))?;
                }
            }
        }
        let mark_colour = RGBColor(164, 14, 38);
        let middle = f64::midpoint(x_range.start, x_range.end);
        let marks = self.marks.iter().filter_map(|mark| Some((mark, self.x.place(mark.x)?)));
        for (row, (mark, x)) in (0..).zip(marks) {
            let ends = [(x, y_range.start), (x, y_range.end)];
            chart.draw_series([PathElement::new(ends, mark_colour.stroke_width(1))])?;
            // Each label in a line of its own, on the side where there is more room.
            let (side, away) = if x > middle { (HPos::Right, -5) } else { (HPos::Left, 5) };
            let style = (FONT, 13)
                .into_font()
                .color(&mark_colour)
                .pos(Pos::new(side, VPos::Top));
            let label = Text::new(mark.label.clone(), (away, row * 16), style);
            chart.draw_series([EmptyElement::at((x, y_range.end)) + label])?;
        }
        area.present()?;
        Ok(())
    }

    fn placed(&self, line: &Line) -> Vec<(f64, f64)> {
        let points = line.points.iter();
        points
            .filter_map(|(x, y)| Some((self.x.place(*x)?, self.y.place(*y)?)))
            .collect()
    }
}

/// Each value held until the next point.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stairs = Vec::with_capacity(points.len() * 2);
    for (number, point) in points.iter().enumerate() {
        if number > 0 {
            stairs.push((point.0, points[number - 1].1));
        }
        stairs.push(*point);
    }
    stairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_what_they_are_given_and_are_never_empty() {
        let linear = Axis::linear("copies");
        let range = linear.range([3.0, 100.0].into_iter());
        assert!(range.start == 0.0 && range.end > 100.0, "{range:?}");
        let one = linear.range([5.0].into_iter());
        assert!(one.start < 5.0 && one.end > 5.0, "{one:?}");
        let none = linear.range(std::iter::empty());
        assert!(none.start < none.end, "{none:?}");
        let all = Axis::per_cent("right").range([100.0, 100.0].into_iter());
        assert!(all.start == 0.0 && all.end > 100.0, "{all:?}");
        let log = Axis::log("copies");
        assert_eq!(log.place(0.0), None);
        assert_eq!(log.place(-1.0), None);
        assert_eq!(log.text(3.0), "1,000");
        assert_eq!(
            (linear.title(), log.title()),
            ("copies".to_owned(), "copies (logarithmic scale)".to_owned())
        );
    }

    #[test]
    fn labels_of_powers_are_round_numbers() {
        let axis = Axis::log("copies");
        let labels = |low: f64, high: f64| -> Vec<String> {
            let ticks = axis.ticks(&(libm::log10(low)..libm::log10(high)));
            ticks.into_iter().map(|place| axis.text(place)).collect()
        };
        assert_eq!(labels(4.0, 60.0), ["5", "10", "20", "50"]);
        assert_eq!(labels(0.9, 1_500.0), ["1", "3", "10", "30", "100", "300", "1,000"]);
        assert_eq!(
            labels(1e-4, 20.0),
            [
                "0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10"
            ]
        );
        assert_eq!(
            labels(1.0, 2e6),
            ["1", "10", "100", "1,000", "10,000", "100,000", "1 million"]
        );
    }

    fn chart(lines: Vec<Line>) -> Chart {
        Chart {
            caption: "A \"quoted\" caption".to_owned(),
            x: Axis::linear("x"),
            y: Axis::log("y"),
            lines,
            marks: Vec::new(),
        }
    }

    #[test]
    fn the_legend_names_all_lines_and_says_which_have_nothing() {
        let line = |name, points| Line::new(name, Style::Steps, points);
        let several = chart(vec![
            line("ours", vec![(1.0, 1.0), (2.0, 3.0)]),
            line("<theirs>", vec![(1.0, 0.0)]).broad(),
        ]);
        let legend = several.legend();
        assert!(legend.contains("</i>ours</span>"), "{legend}");
        assert!(
            legend.contains("opacity:.35\"></i>&lt;theirs&gt; (none)</span>"),
            "{legend}"
        );
        assert_eq!(chart(vec![line("alone", vec![(1.0, 1.0)])]).legend(), "");
        assert!(several.to_svg().contains("aria-label=\"A &quot;quoted&quot; caption\""));
    }

    #[test]
    fn a_line_on_another_is_drawn_after_it() {
        let points = vec![(1.0, 1.0), (2.0, 3.0)];
        let svg = chart(vec![
            Line::new("ours", Style::Steps, points.clone()),
            Line::new("theirs", Style::Steps, points).broad(),
        ])
        .to_svg();
        let place = |colour: &str| svg.rfind(colour).expect("its colour is used");
        assert!(place("stroke=\"#0072B2\"") > place("stroke=\"#D55E00\""), "{svg}");
    }

    #[test]
    fn a_plot_is_empty_where_there_is_nothing_to_tell_apart() {
        let of = |lines: &[&[(f64, f64)]]| {
            let lines = lines.iter().map(|points| Line::new("", Style::Steps, points.to_vec()));
            chart(lines.collect()).is_empty()
        };
        assert!(of(&[]) && of(&[&[]]) && of(&[&[(1.0, 1.0)], &[(1.0, 1.0)]]));
        // What is not above zero has no place on a logarithmic axis.
        assert!(of(&[&[(1.0, 0.0), (2.0, -1.0)]]));
        assert!(!of(&[&[(1.0, 1.0)], &[(2.0, 1.0)]]));
        // One point of a line is drawn as one.
        let one = chart(vec![Line::new("", Style::Steps, vec![(1.0, 1.0)])]);
        assert!(one.to_svg().contains("<circle"));
    }

    #[test]
    fn a_step_holds_its_value_until_the_next_point() {
        assert_eq!(steps(&[(0.0, 1.0), (2.0, 5.0)]), [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
    }

    #[test]
    fn a_plot_of_nothing_is_a_plot() {
        let chart = chart(vec![Line::new("nothing", Style::Straight, vec![(0.0, 0.0)])]);
        assert!(chart.to_svg().starts_with("<svg"));
    }
}
