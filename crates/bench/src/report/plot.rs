//! Curves, drawn as SVG that needs no script and no network.

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, ChartBuilder, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement,
    RGBColor, SVGBackend, SeriesLabelPosition, TRANSPARENT,
};

/// Points that belong together.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A drawing.
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) svg: String,
}

/// Told apart also by who does not see red from green (Okabe and Ito's palette).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];
const SIZE: (u32, u32) = (720, 360);

impl Plot {
    /// Curves over `x`; the height is on a logarithmic scale, because what is compared here often is ten times the other.
    ///
    /// # Errors
    /// Where there is nothing to draw.
    pub(crate) fn new(title: &str, (x, y): (&str, &str), curves: &[Curve]) -> Result<Self> {
        let points = || curves.iter().flat_map(|curve| &curve.points).filter(|(_, y)| *y > 0.0);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN, f64::max);
        let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MAX, f64::min);
        if points().next().is_none() {
            return Err(anyhow!("nothing was measured for the plot {title}"));
        }
        let (left, right) = (least(|point| point.0), most(|point| point.0));
        let (low, high) = (least(|point| point.1) / 1.5, most(|point| point.1) * 1.5);
        let right = if right > left { right } else { left + 1.0 };
        let mut svg = String::new();
        let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {title}: {error}");
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin(12)
                .x_label_area_size(38)
                .y_label_area_size(64)
                .build_cartesian_2d(left..right, (low..high).log_scale())
                .map_err(|error| failed(&error))?;
            chart
                .configure_mesh()
                .x_desc(x)
                .y_desc(y)
                .label_style(("sans-serif", 14))
                .axis_desc_style(("sans-serif", 14))
                .light_line_style(TRANSPARENT)
                .draw()
                .map_err(|error| failed(&error))?;
            for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
                let points = curve.points.iter().copied().filter(|(_, y)| *y > 0.0);
                let line = chart
                    .draw_series(LineSeries::new(points, colour))
                    .map_err(|error| failed(&error))?;
                let colour = *colour;
                line.label(&curve.name)
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .label_font(("sans-serif", 14))
                .border_style(BLACK)
                .background_style(RGBColor(255, 255, 255))
                .draw()
                .map_err(|error| failed(&error))?;
            area.present().map_err(|error| failed(&error))?;
        }
        // Its box, so that a narrow screen can make it smaller.
        let (width, height) = SIZE;
        let sized = format!("width=\"{width}\" height=\"{height}\"");
        let svg = svg.replacen(&sized, "role=\"img\"", 1);
        Ok(Self { title: title.to_owned(), svg })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_svg_that_can_be_made_smaller() {
        let curve = Curve { name: "L1".to_owned(), points: vec![(1.0, 2.0), (2.0, 30.0)] };
        let plot = Plot::new("Latency", ("share", "ms"), &[curve]).unwrap();
        assert!(plot.svg.contains("viewBox") && plot.svg.contains("L1"));
        assert!(!plot.svg.contains("width=\"720\" height=\"360\" viewBox"));
        assert!(Plot::new("Nothing", ("x", "y"), &[]).is_err());
    }
}
