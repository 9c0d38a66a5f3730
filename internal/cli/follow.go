package cli

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/console"
	"parallax/internal/trust"
	pb "parallax/proto/parallax/v1"
)

// dialCoordinator returns a client, and what ends it.
func dialCoordinator(address string, t trust.Trust) (pb.CoordinatorClient, func(), error) {
	conn, err := grpc.NewClient(address, t.Coordinator(nil).DialOptions()...)
	if err != nil {
		return nil, nil, usageError("the coordinator's address %q: %w", address, err)
	}
	return pb.NewCoordinatorClient(conn), func() { conn.Close() }, nil
}

// followRun shows a run's events from the first one on, until it is done.
func followRun(ctx context.Context, client pb.CoordinatorClient, printer console.Printer) (*pb.Done, error) {
	defer printer.Close()
	stream, err := client.Follow(ctx, &pb.FollowRequest{})
	if err != nil {
		return nil, err
	}
	return console.Follow(stream.Recv, printer)
}

// unanswered says in words why a coordinator did not do what it was asked for.
func unanswered(address string, err error) error {
	s := status.Convert(err)
	switch {
	case err == nil:
		return nil
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
