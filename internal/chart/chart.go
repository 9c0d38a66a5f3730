// Package chart draws curves with their spread as SVG and PNG, without cgo, in a
// form that can be read in black and white too: each group of curves has its own
// colour and its own dashes.
//
// It knows nothing of training; internal/cli gives it what internal/compare has
// read.
package chart

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// XY is one point.
type XY struct{ X, Y float64 }

// Series is a group of curves under one name: the repetitions of one experiment.
type Series struct {
	Name   string
	Curves [][]XY
}

// Chart is what is drawn.
type Chart struct {
	Title, XLabel, YLabel string
	// MinX leaves out what is left of it, where the curves' beginnings would
	// squeeze their ends together.
	MinX   float64
	Series []Series
}

// colours tell series apart also for colour-blind eyes (Okabe and Ito 2008), and
// dashes without colour.
var (
	colours = []color.Color{
		color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
		color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
		color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
		color.RGBA{A: 0xff},
	}
	dashes = [][]vg.Length{nil, {vg.Points(6), vg.Points(3)}, {vg.Points(2), vg.Points(2)}, {vg.Points(8), vg.Points(2), vg.Points(2), vg.Points(2)}}
)

const (
	width  = 16 * vg.Centimeter
	height = 10 * vg.Centimeter
)

// Write draws the chart to a file, whose name's ending (.svg, .png) says in which
// form.
func (c Chart) Write(file string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.XLabel, c.YLabel
	p.BackgroundColor = color.White
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for i, s := range c.Series {
		if err := c.add(p, s, style(i)); err != nil {
			return fmt.Errorf("chart %s, %s: %w", file, s.Name, err)
		}
	}
	if err := p.Save(width, height, file); err != nil {
		return fmt.Errorf("chart %s: %w", file, err)
	}
	return nil
}

func style(i int) draw.LineStyle {
	return draw.LineStyle{Color: colours[i%len(colours)], Width: vg.Points(1.2), Dashes: dashes[i%len(dashes)]}
}

// add draws a series' curves in one style, with one entry in the legend.
func (c Chart) add(p *plot.Plot, s Series, style draw.LineStyle) error {
	named := false
	for _, curve := range s.Curves {
		points := c.visible(curve)
		if len(points) == 0 {
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.LineStyle = style
		p.Add(line)
		if !named {
			p.Legend.Add(s.Name, line)
			named = true
		}
	}
	return nil
}

func (c Chart) visible(curve []XY) plotter.XYs {
	var points plotter.XYs
	for _, p := range curve {
		if p.X >= c.MinX {
			points = append(points, plotter.XY{X: p.X, Y: p.Y})
		}
	}
	return points
}
