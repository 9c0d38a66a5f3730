package coord

import (
	"cmp"
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parallax/internal/config"
	pb "parallax/proto/parallax/v1"
)

// service is the coordinator as parallax.v1.Coordinator has it. Attach stands in
// attach.go.
type service struct {
	pb.UnimplementedCoordinatorServer
	*Coordinator
}

// Submit takes a run over the network.
func (s *service) Submit(ctx context.Context, r *pb.SubmitRequest) (*pb.SubmitResponse, error) {
	if len(r.SpecToml) > maxSpec || len(r.Name) > maxText {
		return nil, status.Errorf(codes.InvalidArgument, "the spec has %d bytes and the name %d, the limits are %d and %d",
			len(r.SpecToml), len(r.Name), maxSpec, maxText)
	}
	spec, err := config.Parse([]byte(r.SpecToml))
	if err != nil {
		return nil, invalid(err)
	}
	asked := submission{Submission{r.Name, r.Resume, spec}, make(chan accepted, 1)}
	select {
	case s.jobs <- asked:
	case <-s.over:
		return nil, status.Error(codes.Unavailable, "this coordinator is about to end")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer := <-asked.reply
	if answer.err != nil {
		return nil, status.Error(codes.FailedPrecondition, answer.err.Error())
	}
	return &pb.SubmitResponse{RunId: answer.job.ID, RunDir: answer.job.Dir}, nil
}

// Follow streams events. A slow reader holds up only itself.
func (s *service) Follow(r *pb.FollowRequest, stream pb.Coordinator_FollowServer) error {
	if r.After < 0 {
		return status.Errorf(codes.InvalidArgument, "events are numbered from 1, there is none before %d", r.After)
	}
	if id := s.jobName(); r.RunId != "" && r.RunId != id {
		return status.Errorf(codes.NotFound, "this coordinator has no run %q; its run is %q, leave the name out to follow that", truncate(r.RunId), id)
	}
	for e := range s.Events(stream.Context(), r.After) {
		if err := stream.Send(e); err != nil {
			return err
		}
	}
	return stream.Context().Err()
}

// Stop ends the run after the step under way.
func (s *service) Stop(_ context.Context, r *pb.StopRequest) (*pb.StopResponse, error) {
	if len(r.Reason) > maxText {
		return nil, status.Errorf(codes.InvalidArgument, "the reason has %d bytes, the limit is %d", len(r.Reason), maxText)
	}
	code := ExitDone
	if r.Requeue {
		code = ExitRequeue
	}
	s.Coordinator.Stop(cmp.Or(r.Reason, "a person asked for it"), code)
	return &pb.StopResponse{}, nil
}
