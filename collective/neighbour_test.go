package collective_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"parallax/collective"
	"parallax/collective/mem"
)

// In these tests rank 1 of a ring of two is played by hand.

type neighbour struct {
	*mem.Node
	t *testing.T
}

func byHand(t *testing.T) (*collective.Comm, neighbour) {
	nodes := mem.NewRing(2)
	cfg := watched
	cfg.Members = members(2)
	c, err := collective.New(cfg, nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	return c, neighbour{nodes[1], t}
}

func (n neighbour) send(e collective.Edge, h collective.Header, payload string) {
	n.t.Helper()
	f := collective.Frame{Header: h}
	if payload != "" {
		f.Length = uint32(len(payload))
		f.Payload = &collective.Buffer{Parts: [][]byte{[]byte(payload)}}
		f.Payload.Own(nil)
	}
	if err := e.Send(f); err != nil {
		n.t.Error(err)
	}
}

func TestStaleFramesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := byHand(t)
		for range 5 {
			peer.send(peer.Next(), collective.Header{Kind: collective.Data, Generation: 6}, "old")
		}
		synctest.Wait()
		if s := c.Stats(); s.StaleDropped != 5 || c.Err() != nil {
			t.Errorf("%+v, %v", s, c.Err())
		}
		peer.Close()
		c.Close()
	})
}

func TestNonsenseFromANeighbour(t *testing.T) {
	cases := map[string]struct {
		play func(n neighbour)
		want string
	}{
		"data backwards": {func(n neighbour) {
			n.send(n.Prev(), collective.Header{Kind: collective.Data, Generation: 7}, "data")
		}, "against the ring's direction"},
		"abort by nobody": {func(n neighbour) {
			n.send(n.Next(), collective.Header{Kind: collective.Abort, Generation: 7, Segment: 9}, "\x00boom")
		}, "makes no sense"},
		"abort cut short": {func(n neighbour) {
			n.send(n.Next(), collective.Header{Kind: collective.Abort, Generation: 7}, "\x09boom")
		}, "makes no sense"},
		"goodbye too early": {func(n neighbour) {
			n.send(n.Next(), collective.Header{Kind: collective.Bye, Generation: 7, Chunk: 3}, "")
		}, "it sent 3 data frames in this generation and 0 came"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := byHand(t)
				tt.play(peer)
				<-c.Failed()
				if err := c.Err(); !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "lost rank 1") {
					t.Errorf("%v, want %q", err, tt.want)
				}
				peer.Close()
				c.Close()
			})
		})
	}
}

// choppy delivers payloads in parts of odd lengths, as a stream transport may.
type choppy struct{ *mem.Node }

func (c choppy) Prev() collective.Edge { return choppyEdge{c.Node.Prev()} }

type choppyEdge struct{ collective.Edge }

func (e choppyEdge) Recv() (collective.Frame, error) {
	f, err := e.Edge.Recv()
	if err != nil || f.Payload == nil {
		return f, err
	}
	whole := f.Payload.AppendTo(nil)
	f.Payload.Release()
	chopped := &collective.Buffer{}
	for size := 1; len(whole) > 0; size += 2 {
		n := min(size, len(whole))
		chopped.Parts = append(chopped.Parts, whole[:n])
		whole = whole[n:]
	}
	chopped.Own(nil)
	f.Payload = chopped
	return f, nil
}

func TestPayloadsInOddParts(t *testing.T) {
	const n, length = 3, 500
	nodes := mem.NewRing(n)
	comms := seat(t, n, small, func(rank int) collective.Transport { return choppy{nodes[rank]} })
	must(t, comms, func(c *collective.Comm) error {
		for _, op := range []collective.Op{collective.SumF32, collective.SumBF16} {
			out := make([]float32, length)
			if err := c.AllReduce(t.Context(), at, out, values(c.Rank(), length), op); err != nil {
				return err
			}
			if err := sameBits(out, want(n, evenly(length, n), op, true)); err != nil {
				return err
			}
		}
		return nil
	})
}
