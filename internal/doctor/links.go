package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc/status"

	pb "parallax/proto/parallax/v1"
)

// answer is how long a host may take to answer.
const answer = 3 * time.Second

// Link measures how long it takes to open a TCP connection to an address.
func Link(ctx context.Context, what, address string) Finding {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return ill(what, err, fmt.Sprintf("check that the process runs, that %s is the right address, and that no firewall is between", address))
	}
	took := time.Since(began)
	conn.Close()
	return well(what, "%s answers in %v", address, took.Round(10*time.Microsecond))
}

// Ring asks a coordinator for its newest view and looks at the link to each
// member.
func Ring(ctx context.Context, client pb.CoordinatorClient) []Finding {
	view, err := newestView(ctx, client)
	switch {
	case err != nil:
		return []Finding{ill("the run", errors.New(status.Convert(err).Message()), "do what it says; the coordinator's log may say more")}
	case view == nil:
		return []Finding{well("the run", "has no view yet: nodes are still awaited")}
	}
	findings := []Finding{well("the run", "%s", view.Reason)}
	for rank, m := range view.Members {
		findings = append(findings, Link(ctx, fmt.Sprintf("link to rank %d (%s on %s)", rank, m.NodeId, m.Host), m.RingAddress))
	}
	return findings
}

// newestView reads the run's history up to now: the events that come without a
// pause, and for no longer than the coordinator may take to answer, for a fast run has
// none.
func newestView(ctx context.Context, client pb.CoordinatorClient) (*pb.View, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	stream, err := client.Follow(ctx, &pb.FollowRequest{})
	if err != nil {
		return nil, err
	}
	var view *pb.View
	heard := false
	pause := time.AfterFunc(answer, cancel)
	defer pause.Stop()
	for {
		e, err := stream.Recv()
		if err != nil {
			if heard || ctx.Err() != nil {
				err = nil
			}
			return view, err
		}
		heard = true
		pause.Reset(answer / 10)
		if v := e.GetView(); v != nil {
			view = v
		}
		if e.GetDone() != nil {
			return view, nil
		}
	}
}
