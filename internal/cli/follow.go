package cli

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"parallax/internal/console"
	pb "parallax/proto/parallax/v1"
)

// dialCoordinator returns a client, and what ends it.
func dialCoordinator(address string) (pb.CoordinatorClient, func(), error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
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
		return nil, fmt.Errorf("the coordinator cannot be followed: %w", err)
	}
	return console.Follow(stream.Recv, printer)
}
