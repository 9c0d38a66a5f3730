package console

import (
	"fmt"
	"io"

	pb "parallax/proto/parallax/v1"
)

// plainPrinter writes one line per event, and behind the last one what has happened.
type plainPrinter struct {
	out   io.Writer
	tally tally
}

// NewPlain returns a Printer for logs.
func NewPlain(out io.Writer) Printer { return &plainPrinter{out: out} }

func (p *plainPrinter) Event(e *pb.RunEvent) {
	p.tally.add(e)
	line := Sentence(e)
	if s := e.GetStep(); s != nil {
		line = stepLine(s)
	}
	if line != "" {
		fmt.Fprintln(p.out, line)
	}
	if sum := p.tally.sentence(); sum != "" && e.GetDone() != nil {
		fmt.Fprintln(p.out, sum)
	}
}

func (*plainPrinter) Close() {}
