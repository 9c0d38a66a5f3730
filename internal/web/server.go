package web

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	pb "parallax/proto/parallax/v1"
	"parallax/record"
)

// Feed is a run as it happens; internal/coord's Coordinator is one.
type Feed interface {
	// Events yields the events behind the sequence number after, those to come
	// included, until the run is over or ctx ends.
	Events(ctx context.Context, after int64) iter.Seq[*pb.RunEvent]
}

// Options say what a [Server] shows.
type Options struct {
	Run     Feed           // the run under way; nil: only recorded ones
	Ledger  *record.Ledger // recorded runs; nil: none. It must stay open until Close has returned
	Version string         // of this program
	Log     *slog.Logger   // what goes wrong while serving; nil: nothing
}

// Limits on what readers can cost. They are generous for people and their
// monitoring, and small beside a training run.
const (
	requestTimeout = 10 * time.Second // to send a request
	answerTimeout  = 30 * time.Second // to take an answer, or one event of a stream
	idleTimeout    = time.Minute
	maxHeader      = 16 << 10
	maxStreams     = 64
	maxReads       = 2 // of the ledger at a time
)

// Server serves the page.
type Server struct {
	o       Options
	boot    string // tells this process's event numbers from another's
	status  *status
	streams semaphore
	reads   semaphore
	over    chan struct{} // closed when the run is over, and counted in
	http    http.Server
	ctx     context.Context // ends with the server
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
}

// New returns a server that follows o.Run from now on. The caller must call
// [Server.Close].
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o:       o,
		boot:    strconv.FormatInt(time.Now().UnixNano(), 36),
		status:  newStatus(o.Ledger),
		streams: make(semaphore, maxStreams),
		reads:   make(semaphore, maxReads),
		over:    make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	if o.Run == nil {
		close(s.over)
	} else {
		s.tasks.Go(s.follow)
	}
	return s
}

// follow keeps the status up to date.
func (s *Server) follow() {
	for e := range s.o.Run.Events(s.ctx, 0) {
		if err := s.status.apply(e); err != nil {
			s.o.Log.Warn("the page lacks the earlier part of the run", "error", err)
		}
	}
	close(s.over)
}

// Serve answers on l until Close. The error is nil then.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("the page is no longer served: %w", err)
}

// farewell is how long readers get to take the last events, and overdue how long
// a run that is over may take to say so.
const (
	farewell = time.Second
	overdue  = farewell / 5
)

// Close ends the server. Streams whose run is over have a moment to deliver its
// last events; the others end at once.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	select {
	case <-s.over:
	case <-time.After(overdue):
		s.cancel()
	}
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.cancel()
	s.tasks.Wait()
}

// semaphore bounds how much happens at a time.
type semaphore chan struct{}

// try enters if there is room.
func (s semaphore) try() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// enter waits for room, unless ctx ends before.
func (s semaphore) enter(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s semaphore) leave() { <-s }
