package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"parallax/internal/direct"
	pb "parallax/proto/parallax/v1"
)

// call opens one of the two streams.
type call func(pb.StateClient, context.Context, *pb.StateRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pb.Piece], error)

// receive opens a stream and hands its pieces to take until the stream ends. It says
// whether any came that take was content with. One that is damaged, or a source that
// is silent, ends the stream with an error.
func (f *Fetch) receive(ctx context.Context, open call, r *pb.StateRequest, p *incoming, take func() error) (came bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(f.Silence, func() { cancel(unfit{fmt.Errorf("it has said nothing for %v", f.Silence)}) })
	defer silent.Stop()
	r.RunId, r.NodeId = f.RunID, f.Node
	from, err := f.open(ctx, open, r)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	defer from.close()
	defer cancel(nil)
	for {
		switch err := from.next(p); {
		case errors.Is(err, io.EOF) && ctx.Err() == nil:
			return came, nil
		case err != nil:
			return came, causeOf(ctx, err)
		case p.bad != nil:
			return came, p.bad
		}
		silent.Stop() // while we are busy
		f.hear(p.Header)
		if p.Kind != Idle {
			if err := take(); err != nil {
				return came, err
			}
			came = true
		}
		silent.Reset(f.Silence)
	}
}

// open makes a call, and the inlet of its pieces.
func (f *Fetch) open(ctx context.Context, open call, r *pb.StateRequest) (inlet, error) {
	asking := ctx
	if f.direct() {
		asking = direct.Ask(ctx)
	}
	stream, err := open(pb.NewStateClient(f.Conn), asking, r, grpc.ForceCodecV2(codec{}))
	if err != nil {
		return nil, err
	}
	return f.inlet(ctx, stream)
}

// causeOf is why a call was cancelled from here, else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
