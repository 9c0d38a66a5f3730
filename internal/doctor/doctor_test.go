package doctor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	_ "parallax/kernels/cpu"
	pb "parallax/proto/parallax/v1"
)

func TestDevice(t *testing.T) {
	if f := Device("cpu", 1); !f.Well || !strings.Contains(f.Detail, "GFLOP/s") {
		t.Errorf("the CPU: %+v", f)
	}
	if f := Device("abacus", 1); f.Well || !strings.Contains(f.Next, "--device") {
		t.Errorf("a device that there is not: %+v", f)
	}
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if f := Cache(dir); !f.Well {
		t.Errorf("a folder that can be made: %+v", f)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v was left behind", left)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := Cache(file); f.Well || f.Next == "" {
		t.Errorf("a file instead of a folder: %+v", f)
	}
}

// oneView is a coordinator whose run has a view and goes on.
type oneView struct {
	pb.UnimplementedCoordinatorServer
	view *pb.View
}

func (s oneView) Follow(_ *pb.FollowRequest, stream grpc.ServerStreamingServer[pb.RunEvent]) error {
	if err := stream.Send(&pb.RunEvent{Kind: &pb.RunEvent_View{View: s.view}}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// fastRun is a coordinator whose run steps without a pause.
type fastRun struct{ pb.CoordinatorClient }

func (fastRun) Follow(ctx context.Context, _ *pb.FollowRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[pb.RunEvent], error) {
	return &steps{ctx: ctx}, nil
}

type steps struct {
	grpc.ServerStreamingClient[pb.RunEvent]
	ctx  context.Context
	told bool
}

func (s *steps) Recv() (*pb.RunEvent, error) {
	if !s.told {
		s.told = true
		return &pb.RunEvent{Kind: &pb.RunEvent_View{View: &pb.View{Reason: "generation 1"}}}, nil
	}
	time.Sleep(answer / 20)
	return &pb.RunEvent{}, s.ctx.Err()
}

func TestRunWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if f := Ring(t.Context(), fastRun{}); len(f) != 1 || !f[0].Well || f[0].Detail != "generation 1" {
			t.Errorf("it found %+v", f)
		}
	})
}

// wary is a coordinator that talks to nobody.
type wary struct{ pb.CoordinatorClient }

func (wary) Follow(context.Context, *pb.FollowRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pb.RunEvent], error) {
	return nil, status.Error(codes.Unauthenticated, "give --tls-ca")
}

func TestRefused(t *testing.T) {
	if f := Ring(t.Context(), wary{}); len(f) != 1 || f[0].Well || f[0].Detail != "give --tls-ca" {
		t.Errorf("it found %+v", f)
	}
}

func TestRing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	server := grpc.NewServer()
	pb.RegisterCoordinatorServer(server, oneView{view: &pb.View{Reason: "generation 1: all are there", Members: []*pb.Member{
		{NodeId: "alive", RingAddress: listener.Addr().String()}, {NodeId: "dead", RingAddress: dead.Addr().String()}}}})
	go server.Serve(listener)
	defer server.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	findings := Ring(context.Background(), pb.NewCoordinatorClient(conn))
	if len(findings) != 3 || !findings[0].Well || !findings[1].Well || findings[2].Well {
		t.Fatalf("want a run and a living member that are well, and a dead one that is not: %+v", findings)
	}
	if !strings.Contains(findings[2].What, "dead") || findings[2].Next == "" {
		t.Errorf("the dead member: %+v", findings[2])
	}
}
