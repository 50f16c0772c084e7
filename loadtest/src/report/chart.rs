use plotters::coord::Shift;
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
            Scale::Log => super::short(libm::pow(10.0, place)),
        }
    }

    /// From the least to the greatest place, with some room, and never empty.
    fn range(&self, places: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
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
            .build_cartesian_2d(x_range, y_range.clone())?;
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
        for ((line, points), colour) in self.lines.iter().zip(placed).zip(COLOURS.into_iter().cycle()) {
            let drawn = match line.style {
                Style::Points => {
                    let points = points.into_iter();
                    chart.draw_series(points.map(|point| Circle::new(point, 2, colour.mix(0.6).filled())))?
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
                .position(SeriesLabelPosition::LowerRight)
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
