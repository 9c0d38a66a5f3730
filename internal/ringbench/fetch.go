package ringbench

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"parallax/collective"
	"parallax/collective/grpcring"
	"parallax/internal/transfer"
)

// run names what the state is of.
const run = "measurement"

// oneWay measures how fast bytes travel one way, and in turns with that how fast the
// last rank fetches a state of as many from rank 0, which holds it ready. The others
// wait.
func (s Seat) oneWay(ctx context.Context, c *collective.Comm, source *transfer.Source, trial collective.Trial) (oneWay, fetch *collective.Measurement, err error) {
	bytes, last := 4*trial.Elements, len(s.Members)-1
	switch s.Rank {
	case 0:
		source.Open(run, silence/4)
		source.Permit([]string{s.Members[last].Name})
		source.Offer(transfer.Record{Parts: [][]byte{patterned(bytes)}})
		return trial.OneWay(ctx, c, func() (int64, error) { return int64(bytes), nil })
	case last:
		conn, err := grpc.NewClient("passthrough:///"+s.Members[0].Address, grpcring.DialOptions(s.secured(0)...)...)
		if err != nil {
			return nil, nil, err
		}
		defer conn.Close()
		to := memory(make([]byte, bytes))
		return trial.OneWay(ctx, c, func() (int64, error) { return 0, s.fetch(ctx, conn, to) })
	}
	return trial.OneWay(ctx, c, func() (int64, error) { return 0, nil })
}

// patterned is memory of which each page has its own place, as a state's has.
func patterned(bytes int) []byte {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// errFetched ends a fetch that has come to its goal.
var errFetched = errors.New("the state has come")

// fetch takes the state once.
func (s Seat) fetch(ctx context.Context, conn *grpc.ClientConn, to memory) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &transfer.Fetch{
		Conn: conn, Address: s.Members[0].Address, Direct: s.dialer(0), RunID: run, Node: s.Members[s.Rank].Name,
		Target: to, Alloc: func(n int) []byte { return make([]byte, n) }, Silence: silence,
		Near: func(transfer.Account) { cancel(errFetched) }, Left: func(uint64, int64) error { return nil },
	}
	if err := f.Run(ctx); !errors.Is(err, errFetched) {
		return err
	}
	return nil
}

// memory is a state that nothing happens to.
type memory []byte

func (m memory) StateBytes() int64          { return int64(len(m)) }
func (m memory) ChangeBytes() int64         { return 1 }
func (m memory) Filled(int64) error         { return nil }
func (m memory) Replay(int64, []byte) error { return nil }

func (m memory) Fill(offset int64, data []byte) error {
	copy(m[offset:], data)
	return nil
}
