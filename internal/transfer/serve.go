package transfer

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "parallax/proto/parallax/v1"
)

// gone says that a fetch has to begin anew.
func gone(why string) error { return status.Error(codes.OutOfRange, why) }

// admit says why a call is refused.
func (s *Source) admit(ctx context.Context, r *pb.StateRequest) error {
	if r.Offset < 0 || r.GetStep() < 0 {
		return status.Errorf(codes.InvalidArgument, "no state has a step %d and an offset %d", r.GetStep(), r.Offset)
	}
	if err := s.authorize(ctx, r.NodeId); err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return s.allows(r)
}

// allows says why a node may not fetch. The coordinator's word may be on its way, so
// that it can ask again.
func (s *Source) allows(r *pb.StateRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !slices.Contains(s.allowed, r.NodeId):
		return status.Errorf(codes.Unavailable, "the coordinator has not said that %.100s may fetch from here", r.NodeId)
	case r.RunId != s.run:
		return status.Errorf(codes.FailedPrecondition, "this node is in the run %s, not in %.100q", s.run, r.RunId)
	}
	return nil
}

// Snapshot implements the service.
func (s *Source) Snapshot(r *pb.StateRequest, out grpc.ServerStreamingServer[pb.Piece]) error {
	if err := s.admit(out.Context(), r); err != nil {
		return err
	}
	return s.answer(out, r.NodeId, func(to outlet) error { return s.sendSnapshot(out.Context(), to, r) })
}

func (s *Source) sendSnapshot(ctx context.Context, to outlet, r *pb.StateRequest) error {
	on := new(stream)
	for {
		held, newest, wait, err := s.snapshot(r.Step, on)
		switch {
		case err != nil:
			return err
		case held != nil:
			return s.send(to, Snapshot, *held, newest, r.Offset)
		}
		if err := s.idle(ctx, to, r, newest, wait); err != nil {
			return err
		}
	}
}

// Changes implements the service.
func (s *Source) Changes(r *pb.StateRequest, out grpc.ServerStreamingServer[pb.Piece]) error {
	if err := s.admit(out.Context(), r); err != nil {
		return err
	}
	return s.answer(out, r.NodeId, func(to outlet) error { return s.sendChanges(out.Context(), to, r) })
}

func (s *Source) sendChanges(ctx context.Context, to outlet, r *pb.StateRequest) error {
	on, after, offset := new(stream), r.GetStep(), r.Offset
	for {
		change, newest, left, wait, err := s.change(after, on)
		switch {
		case err != nil:
			return err
		case change != nil:
			err = s.send(to, Change, *change, newest, offset)
			after, offset = change.Step, 0
		case left != nil:
			err = say(to, Header{Kind: Left, Step: left.step, Newest: newest, Offset: int64(left.generation)})
		default:
			err = s.idle(ctx, to, r, newest, wait)
		}
		if err != nil {
			return err
		}
	}
}

// send sends a record from an offset on.
func (s *Source) send(to outlet, kind Kind, r Record, newest, offset int64) error {
	total := r.Bytes()
	if offset > total {
		return status.Errorf(codes.InvalidArgument, "byte %d is asked for of %d", offset, total)
	}
	for lo := offset; lo < total; lo += PieceBytes {
		hi := min(lo+PieceBytes, total)
		h := Header{Kind: kind, Step: r.Step, Newest: newest, Offset: lo, Total: total, Length: int(hi - lo)}
		if err := to.send(pack(h, r.slice(lo, hi)...)); err != nil {
			return err
		}
	}
	return to.flush()
}

// say sends a piece that is of no record.
func say(to outlet, h Header) error {
	if err := to.send(pack(h)); err != nil {
		return err
	}
	return to.flush()
}

// idle waits until something has changed, and says so now and then to a node that may
// still fetch.
func (s *Source) idle(ctx context.Context, to outlet, r *pb.StateRequest, newest int64, changed <-chan struct{}) error {
	timer := time.NewTimer(s.pace())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-changed:
		return s.allows(r)
	case <-timer.C:
		return say(to, Header{Kind: Idle, Step: newest, Newest: newest})
	}
}

func (s *Source) pace() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beat
}
