package chart

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func example() Chart {
	return Chart{
		Title: "two arms", XLabel: "tokens", YLabel: "loss", MinX: 1,
		Series: []Series{
			{"first", [][]XY{{{0, 900}, {1, 3}, {2, 2}}, {{0, 900}, {1, 3.1}, {2, 2.1}}}},
			{"second", [][]XY{{{1, 4}, {2, 3}}}},
		},
	}
}

func TestSVGNamesEveryThing(t *testing.T) {
	text := string(written(t, example(), "a.svg"))
	for _, want := range []string{"<svg", "two arms", "tokens", "loss", "first", "second"} {
		if !strings.Contains(text, want) {
			t.Errorf("the SVG does not contain %q", want)
		}
	}
	if n := strings.Count(text, ">first<"); n != 1 {
		t.Errorf("two curves of a series have %d entries in the legend", n)
	}
	if strings.Contains(text, ">900<") || strings.Contains(text, ">800<") {
		t.Error("a point left of MinX has stretched the axis")
	}
}

func TestPNGIsAPicture(t *testing.T) {
	picture, err := png.Decode(bytes.NewReader(written(t, example(), "a.png")))
	if err != nil {
		t.Fatal(err)
	}
	coloured := 0
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if r, _, b, _ := picture.At(x, y).RGBA(); b > r+0x4000 {
				coloured++
			}
		}
	}
	if coloured < 100 {
		t.Errorf("%d pixels of the first colour", coloured)
	}
}

func TestWriteRefuses(t *testing.T) {
	if err := example().Write(filepath.Join(t.TempDir(), "a.bmpp")); err == nil || !strings.Contains(err.Error(), "a.bmpp") {
		t.Errorf("an unknown form: %v", err)
	}
}

func written(t *testing.T, c Chart, name string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
