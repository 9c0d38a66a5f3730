package console

import (
	"io"
	"os"

	"golang.org/x/term"

	pb "parallax/proto/parallax/v1"
)

// Printer shows events as they come. It is used from one goroutine.
type Printer interface {
	Event(*pb.RunEvent)
	// Close leaves the terminal as a person expects to find it.
	Close()
}

// New chooses the form: JSON if asked for, a live view if out is a terminal that
// can show one, else plain lines.
func New(out *os.File, json bool) Printer {
	switch {
	case json:
		return NewJSON(out)
	case term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb":
		return newLive(out)
	default:
		return NewPlain(out)
	}
}

// Follow feeds a stream of events to a printer until the run is done (it returns
// the Done event) or the stream ends (it returns its error).
func Follow(receive func() (*pb.RunEvent, error), p Printer) (*pb.Done, error) {
	for {
		e, err := receive()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		p.Event(e)
		if done := e.GetDone(); done != nil {
			return done, nil
		}
	}
}
