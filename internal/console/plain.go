package console

import (
	"fmt"
	"io"

	pb "parallax/proto/parallax/v1"
)

// plainPrinter writes one line per event.
type plainPrinter struct{ out io.Writer }

// NewPlain returns a Printer for logs.
func NewPlain(out io.Writer) Printer { return plainPrinter{out} }

func (p plainPrinter) Event(e *pb.RunEvent) {
	line := Sentence(e)
	if s := e.GetStep(); s != nil {
		line = stepLine(s)
	}
	if line != "" {
		fmt.Fprintln(p.out, line)
	}
}

func (plainPrinter) Close() {}
