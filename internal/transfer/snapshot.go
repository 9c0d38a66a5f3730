package transfer

import (
	"context"
	"fmt"

	pb "parallax/proto/parallax/v1"
)

// snapshot is one that is being fetched.
type snapshot struct {
	*Fetch
	begun func(step int64) // its first piece has come

	known bool // step and total are
	step  int64
	total int64
	at    int64 // bytes that are written
	piece incoming
}

// take fetches it whole, going on where a stream broke.
func (s *snapshot) take(ctx context.Context) error {
	s.piece.payload = s.Alloc(PieceBytes)[:0]
	err := s.again(ctx, func(ctx context.Context) (bool, error) {
		r := &pb.StateRequest{Offset: s.at}
		if s.known {
			r.Step = &s.step
		}
		came, err := s.receive(ctx, pb.StateClient.Snapshot, r, &s.piece, s.write)
		if err == nil && (!s.known || s.at < s.total) {
			err = fmt.Errorf("the snapshot ended after %d of %d bytes", s.at, s.total)
		}
		return came, err
	})
	if err != nil {
		return err
	}
	return s.Target.Filled(s.step)
}

// write takes the next piece.
func (s *snapshot) write() error {
	p := &s.piece
	if err := s.expect(p.Header); err != nil {
		return err
	}
	if err := s.Target.Fill(p.Offset, p.payload); err != nil {
		return unfit{err}
	}
	s.at += int64(p.Length)
	if s.Doing != nil {
		s.Doing(s.at, s.total)
	}
	if !s.known {
		s.known, s.step = true, p.Step
		s.begun(p.Step)
	}
	return nil
}

func (s *snapshot) expect(h Header) error {
	s.total = s.Target.StateBytes()
	switch {
	case h.Kind != Snapshot || s.known && h.Step != s.step || h.Offset != s.at:
		return fmt.Errorf("byte %d of the snapshot of step %d is due, and byte %d of kind %#x of step %d comes", s.at, s.step, h.Offset, uint8(h.Kind), h.Step)
	case h.Total != s.total:
		return unfit{fmt.Errorf("the source's state has %d bytes, and ours %d: are both of one version?", h.Total, s.total)}
	}
	return nil
}
