package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	pb "parallax/proto/parallax/v1"
)

// heartbeat is how often a silent stream shows that it lives.
const heartbeat = 15 * time.Second

// getStream sends the run's events behind a cursor as server-sent events, until
// the run is over. The cursor is the header Last-Event-ID, with which browsers
// resume, or the query's after. One of another process of the coordinator, whose
// events were numbered differently, gets the event "reset": ask /api/state again.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) {
	if s.o.Run == nil {
		http.Error(w, "no run is under way here, only recorded ones", http.StatusNotFound)
		return
	}
	cursor := r.Header.Get("Last-Event-ID")
	if cursor == "" {
		cursor = r.URL.Query().Get("after")
	}
	after, ours, err := s.parseCursor(cursor)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !s.streams.try() {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages follow this run already, which is the limit", maxStreams), http.StatusServiceUnavailable)
		return
	}
	defer s.streams.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &sender{w, http.NewResponseController(w)}
	if !ours {
		_ = out.send("event: reset\ndata: {}\n\n")
		return
	}
	s.stream(r.Context(), out, after)
}

// cursor names an event of this process.
func (s *Server) cursor(sequence int64) string { return fmt.Sprintf("%s-%d", s.boot, sequence) }

// parseCursor reads what cursor wrote; "" is the beginning.
func (s *Server) parseCursor(text string) (after int64, ours bool, err error) {
	if text == "" {
		return 0, true, nil
	}
	boot, number, _ := strings.Cut(text, "-")
	after, err = strconv.ParseInt(number, 10, 64)
	if err != nil || after < 0 || boot == "" || len(text) > 64 {
		return 0, false, fmt.Errorf("a stream resumes behind an event id such as %s", s.cursor(1))
	}
	return after, boot == s.boot, nil
}

// stream sends events until the run, the reader or the server ends. Events are
// fetched only as fast as the reader takes them, so none pile up.
func (s *Server) stream(ctx context.Context, out *sender, after int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan *pb.RunEvent)
	s.tasks.Go(func() {
		defer close(events)
		for e := range s.o.Run.Events(ctx, after) {
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	})
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if out.send("retry: 1000\n\n") != nil {
		return
	}
	for {
		select {
		case e, more := <-events:
			if !more || s.sendEvent(out, e) != nil {
				return
			}
		case <-beat.C:
			if out.send(": alive\n\n") != nil {
				return
			}
		}
	}
}

func (s *Server) sendEvent(out *sender, e *pb.RunEvent) error {
	data, err := json.Marshal(describe(e))
	if err != nil {
		return err
	}
	return out.send(fmt.Sprintf("id: %s\ndata: %s\n\n", s.cursor(e.Sequence), data))
}

// sender writes to a reader who must keep taking what is sent.
type sender struct {
	w       io.Writer
	control *http.ResponseController
}

func (o *sender) send(text string) error {
	_ = o.control.SetReadDeadline(time.Time{}) // the request has been read; a stream lasts
	_ = o.control.SetWriteDeadline(time.Now().Add(answerTimeout))
	if _, err := io.WriteString(o.w, text); err != nil {
		return err
	}
	return o.control.Flush()
}
