package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/console"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// dialCoordinator returns a client, and what ends it.
func dialCoordinator(address string, t trust.Trust) (pb.CoordinatorClient, func(), error) {
	conn, err := grpc.NewClient(address, append(t.Coordinator(nil).DialOptions(), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: 5 * time.Second,
	}))...)
	if err != nil {
		return nil, nil, usageError("the coordinator's address %q: %w", address, err)
	}
	return pb.NewCoordinatorClient(conn), func() { conn.Close() }, nil
}

// absence is how a coordinator that is away is waited for.
type absence struct {
	fromStart bool                                         // also one that has told nothing yet
	begin     func() (context.Context, context.CancelFunc) // the wait goes on until the context ends, whose cause says why
}

// followRun shows a run's events from the first one on, until it is done. When the
// coordinator goes away it is waited for, and the run followed on from there.
func followRun(ctx context.Context, client pb.CoordinatorClient, printer console.Printer, away absence) (*pb.Done, error) {
	defer printer.Close()
	f := &follower{Printer: printer}
	for {
		patient := f.after > 0 || away.fromStart
		stream, err := f.open(ctx, client, patient, away)
		if err != nil {
			return nil, err
		}
		done, err := console.Follow(stream.Recv, f)
		if patient = f.after > 0 || away.fromStart; err == nil || ctx.Err() != nil || !patient || status.Code(err) != codes.Unavailable {
			return done, err
		}
	}
}

// follower passes on what is new to a Printer: a coordinator that comes back from a
// crash tells once more what it had not put on record.
type follower struct {
	console.Printer
	after      int64 // number of the last event
	run        string
	generation uint64
	step, eval int64
	made       uint64 // the generation that made step: a later one may make it again
}

func (f *follower) open(ctx context.Context, client pb.CoordinatorClient, patient bool, away absence) (pb.Coordinator_FollowClient, error) {
	if !patient {
		return client.Follow(ctx, &pb.FollowRequest{})
	}
	waiting, enough := away.begin()
	defer enough()
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(waiting, cancel)()
	stream, err := client.Follow(ctx, &pb.FollowRequest{After: f.after}, grpc.WaitForReady(true))
	if err != nil && waiting.Err() != nil {
		err = context.Cause(waiting)
	}
	return stream, err
}

func (f *follower) Event(e *pb.RunEvent) {
	f.after = e.Sequence
	if f.news(e) {
		f.Printer.Event(e)
	}
}

func (f *follower) news(e *pb.RunEvent) (news bool) {
	switch k := e.Kind.(type) {
	case *pb.RunEvent_Started:
		news, f.run = k.Started.RunId != f.run, k.Started.RunId
	case *pb.RunEvent_View:
		news, f.generation = k.View.Generation > f.generation, max(f.generation, k.View.Generation)
	case *pb.RunEvent_Step:
		if news = k.Step.Step > f.step || k.Step.Generation > f.made; news {
			f.step, f.made = k.Step.Step, k.Step.Generation
		}
	case *pb.RunEvent_Eval:
		news, f.eval = k.Eval.Step > f.eval, max(f.eval, k.Eval.Step)
	default:
		news = true
	}
	return news
}

// stopRun asks a coordinator to stop the run until it answers: it may have crashed,
// and be about to come back.
func stopRun(ctx context.Context, client pb.CoordinatorClient) error {
	for {
		_, err := client.Stop(ctx, &pb.StopRequest{Reason: "interrupted"}, grpc.WaitForReady(true))
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case status.Code(err) != codes.Unavailable:
			return err
		}
	}
}

// unanswered says in words why a coordinator did not do what it was asked for.
func unanswered(address string, err error) error {
	s := status.Convert(err)
	var told *exitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told):
		return told
	case s.Code() == codes.Unavailable:
		return &exitError{exitQuorum, fmt.Errorf("no coordinator answers at %s: is it running, and is the address right?", address)}
	case s.Code() == codes.Unauthenticated || s.Code() == codes.PermissionDenied:
		return usageError("the coordinator at %s cannot be talked to: %s", address, s.Message())
	case s.Code() == codes.InvalidArgument || s.Code() == codes.FailedPrecondition:
		return usageError("the coordinator at %s refuses: %s", address, s.Message())
	default:
		return fmt.Errorf("the coordinator at %s: %s", address, s.Message())
	}
}
