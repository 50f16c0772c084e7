use std::collections::BTreeSet;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// A plot of lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows and how to read it.
    pub caption: String,
    /// To the right.
    pub x: Axis,
    /// Upward.
    pub y: Axis,
    /// What is drawn; each in a colour of its own, in this order.
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
        }
    }

    /// An axis of equal factors.
    pub fn log(label: &str) -> Axis {
        Axis {
            label: label.to_owned(),
            scale: Scale::Log,
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
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
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
            points,
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
        svg.replacen(&format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1), "", 1)
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
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|place| self.x.text(*place))
            .y_label_formatter(&|place| self.y.text(*place))
            .draw()?;
        let drawn = self.lines.iter().zip(&placed).map(|(line, points)| match line.style {
            Style::Steps => steps(points),
            Style::Straight | Style::Points | Style::Strokes => points.clone(),
        });
        let legend = emptiest_corner(&drawn.collect::<Vec<_>>(), &x_range, &y_range);
        for ((line, points), colour) in self.lines.iter().zip(placed).zip(COLOURS.into_iter().cycle()) {
            let drawn = match line.style {
                Style::Points => {
                    let points = points.into_iter();
                    let size = if points.len() > FEW { 2 } else { 4 };
                    chart.draw_series(points.map(|point| Circle::new(point, size, colour.mix(0.6).filled())))?
                }
                Style::Strokes => {
                    let strokes = points.chunks_exact(2).map(|ends| ends.to_vec());
                    chart.draw_series(strokes.map(|ends| PathElement::new(ends, colour.stroke_width(6))))?
                }
                Style::Straight => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
                Style::Steps => chart.draw_series(LineSeries::new(steps(&points), colour.stroke_width(2)))?,
            };
            drawn
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        }
        let mark_colour = RGBColor(164, 14, 38);
        for (mark, x) in self.marks.iter().filter_map(|mark| Some((mark, self.x.place(mark.x)?))) {
            let ends = [(x, y_range.start), (x, y_range.end)];
            chart.draw_series([PathElement::new(ends, mark_colour.stroke_width(1))])?;
            let style = (FONT, 13).into_font().color(&mark_colour);
            chart.draw_series([Text::new(format!(" {}", mark.label), (x, y_range.end), style)])?;
        }
        if self.lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(legend)
                .background_style(WHITE.mix(0.85))
                .border_style(RGBColor(216, 222, 228))
                .label_font((FONT, 13))
                .draw()?;
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

/// The corner of the plot of which points and lines take the least: there the legend hides little else.
fn emptiest_corner(lines: &[Vec<(f64, f64)>], x: &Range<f64>, y: &Range<f64>) -> SeriesLabelPosition {
    /// The plot is looked at in so many cells each way, of which a legend takes about so many.
    const CELLS: f64 = 30.0;
    const LEGEND: (f64, f64) = (9.0, 10.0);
    /// A line is looked at in so many places between two points.
    const PLACES: u32 = 30;
    let cell = |value: f64, range: &Range<f64>| ((value - range.start) / (range.end - range.start) * CELLS) as u32;
    let mut taken: BTreeSet<(u32, u32)> = BTreeSet::new();
    for line in lines {
        let ends = line.iter().zip(line.iter().skip(1).chain(line.last()));
        for (from, to) in ends {
            let places = (0..PLACES).map(|place| f64::from(place) / f64::from(PLACES));
            let between = places.map(|part| (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part));
            taken.extend(between.map(|point| (cell(point.0, x), cell(point.1, y))));
        }
    }
    let is_right = |cell: u32| f64::from(cell) >= CELLS - LEGEND.0;
    let is_left = |cell: u32| f64::from(cell) < LEGEND.0;
    let is_upper = |cell: u32| f64::from(cell) >= CELLS - LEGEND.1;
    let is_lower = |cell: u32| f64::from(cell) < LEGEND.1;
    let hidden = |is_there: &dyn Fn(u32, u32) -> bool| taken.iter().filter(|cell| is_there(cell.0, cell.1)).count();
    let corners = [
        (
            hidden(&|x, y| is_right(x) && is_lower(y)),
            SeriesLabelPosition::LowerRight,
        ),
        (
            hidden(&|x, y| is_right(x) && is_upper(y)),
            SeriesLabelPosition::UpperRight,
        ),
        (
            hidden(&|x, y| is_left(x) && is_upper(y)),
            SeriesLabelPosition::UpperLeft,
        ),
        (
            hidden(&|x, y| is_left(x) && is_lower(y)),
            SeriesLabelPosition::LowerLeft,
        ),
    ];
    let best = corners.into_iter().min_by_key(|(hidden, _)| *hidden);
    best.expect("there are four").1
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
        let log = Axis::log("copies");
        assert_eq!(log.place(0.0), None);
        assert_eq!(log.place(-1.0), None);
        assert_eq!(log.text(3.0), "1000");
    }

    #[test]
    fn labels_of_powers_are_round_numbers() {
        let axis = Axis::log("copies");
        let labels = |low: f64, high: f64| -> Vec<String> {
            let ticks = axis.ticks(&(libm::log10(low)..libm::log10(high)));
            ticks.into_iter().map(|place| axis.text(place)).collect()
        };
        assert_eq!(labels(4.0, 60.0), ["5", "10", "20", "50"]);
        assert_eq!(labels(0.9, 1_500.0), ["1", "3", "10", "30", "100", "300", "1000"]);
        assert_eq!(
            labels(1e-4, 20.0),
            [
                "0.0001", "0.0003", "0.0010", "0.0030", "0.0100", "0.0300", "0.1000", "0.3000", "1", "3", "10"
            ]
        );
        assert_eq!(
            labels(1.0, 2e6),
            ["1", "10", "100", "1000", "10000", "100000", "1.000 million"]
        );
    }

    #[test]
    fn the_legend_stands_where_nothing_is() {
        let corner = |points: &[(f64, f64)]| {
            let corner = emptiest_corner(&[points.to_vec()], &(0.0..10.0), &(0.0..10.0));
            format!("{corner:?}")
        };
        assert_eq!(corner(&[(0.0, 0.0), (10.0, 10.0)]), "LowerRight");
        assert_eq!(corner(&[(0.0, 10.0), (10.0, 0.0)]), "UpperRight");
        assert_eq!(corner(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)]), "UpperLeft");
        assert_eq!(corner(&[(0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]), "LowerLeft");
    }

    #[test]
    fn a_step_holds_its_value_until_the_next_point() {
        assert_eq!(steps(&[(0.0, 1.0), (2.0, 5.0)]), [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
    }

    #[test]
    fn a_plot_of_nothing_is_a_plot() {
        let chart = Chart {
            caption: String::new(),
            x: Axis::linear("x"),
            y: Axis::log("y"),
            lines: vec![Line::new("nothing", Style::Straight, vec![(0.0, 0.0)])],
            marks: Vec::new(),
        };
        assert!(chart.to_svg().starts_with("<svg"));
    }
}
