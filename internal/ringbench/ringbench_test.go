package ringbench

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parallax/collective"
	"parallax/internal/trust/trusttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMeasure(t *testing.T) {
	for name, seat := range map[string]Seat{"grpc": {}, "tcp": {Direct: true}, "tcp with TLS": {Direct: true, Trust: trusttest.Identity(t, "all", "rank-0", "rank-1", "rank-2")}} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			seat.Log, seat.Wait = slog.New(slog.NewTextHandler(&log, nil)), time.Minute
			var listeners []net.Listener
			for i := range 3 {
				lis, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				listeners = append(listeners, lis)
				seat.Members = append(seat.Members, collective.Member{Name: fmt.Sprint("rank-", i), Address: lis.Addr().String()})
			}
			var wg sync.WaitGroup
			for i, lis := range listeners {
				seat := seat
				seat.Rank = i
				wg.Go(func() { measureOne(t, seat, lis) })
			}
			wg.Wait()
			if log.Len() > 0 {
				t.Errorf("the log says %s", log.String())
			}
		})
	}
}

func measureOne(t *testing.T, seat Seat, lis net.Listener) {
	r, err := seat.Measure(t.Context(), lis, collective.Trial{Elements: 100_000, Repeat: 3, Op: collective.SumI32})
	if err != nil {
		t.Error(err)
		return
	}
	if r.AllReduce.World != 3 || len(r.AllReduce.Seconds) != 3 || r.AllReduce.BusGBps <= r.AllReduce.AlgGBps || r.OneWay.AlgGBps <= 0 {
		t.Errorf("%+v, %+v", r.AllReduce, r.OneWay)
	}
	if r.Fetch.Bytes != 400_000 || len(r.Fetch.Seconds) != 3 || r.Fetch.AlgGBps <= 0 {
		t.Errorf("%+v", r.Fetch)
	}
	if shares := r.Shares(); len(shares) != 3 || shares[0] != r.OneWay.Seconds[0]/r.Fetch.Seconds[0] {
		t.Errorf("%v of the rate one way", shares)
	}
}
