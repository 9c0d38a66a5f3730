package grpcring_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"parallax/collective"
)

// BenchmarkAllReduce sums 100 MB over processes. An iteration is one all-reduce,
// timed on the slowest rank; the time is the median's.
func BenchmarkAllReduce(b *testing.B) {
	for _, n := range []int{2, 4} {
		for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
			for transport, direct := range map[string]bool{"grpc": false, "tcp": true} {
				b.Run(fmt.Sprintf("%v/ranks=%d/%s", op, n, transport), func(b *testing.B) { benchProcesses(b, n, op, direct, "") })
			}
		}
	}
}

// BenchmarkAllReduceTLS is the same with mutual TLS on every link.
func BenchmarkAllReduceTLS(b *testing.B) {
	for _, n := range []int{2, 4} {
		b.Run(fmt.Sprintf("%v/ranks=%d", collective.SumF32, n), func(b *testing.B) {
			benchProcesses(b, n, collective.SumF32, true, issueRanks(b, n))
		})
	}
}

func benchProcesses(b *testing.B, n int, op collective.Op, direct bool, pki string) {
	r := startRanks(b, n, job{op: op, elements: 25_000_000, repeat: b.N, timeout: 20 * time.Second, direct: direct, pki: pki})
	m, err := r.job.run(r.host, r.addrs)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(m.Median*1e9, "ns/op")
	b.ReportMetric(m.AlgGBps, "alg-GB/s")
	b.ReportMetric(m.BusGBps, "bus-GB/s")
	b.ReportMetric(m.CPUPerGB, "cpu-s/GB")
}

// BenchmarkPointToPoint moves 1 MiB chunks from one rank to the next.
func BenchmarkPointToPoint(b *testing.B) {
	const size = 64 << 20
	comms := connect(b, newHosts(b, 2), 1, func(cfg *collective.Config) { cfg.ChunkBytes = 1 << 20 })
	bufs := [][]byte{make([]byte, size), make([]byte, size)}
	send := func(c *collective.Comm) error {
		return c.Broadcast(context.Background(), at, bufs[c.Rank()], 0)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range each(comms, send) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	must(b, comms, func(*collective.Comm) error { return nil })
}
