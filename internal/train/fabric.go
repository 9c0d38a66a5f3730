package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"parallax/collective"
	"parallax/kernels"
)

// Fabric is what a rank wants its gradients to go through.
type Fabric string

// The fabrics.
const (
	FabricAuto Fabric = "auto" // the devices' own where all ranks can, else the ring
	FabricRing Fabric = "ring" // the ring of hosts
	FabricNCCL Fabric = "nccl" // the devices' own, or not at all
)

// ParseFabric reads one of them.
func ParseFabric(name string) (Fabric, error) {
	switch f := Fabric(name); f {
	case FabricAuto, FabricRing, FabricNCCL:
		return f, nil
	}
	return "", fmt.Errorf("there is no fabric %q: want auto, ring or nccl", name)
}

// card is what a rank tells the others of itself before they choose a fabric.
type card struct {
	Want   Fabric
	Device string // tells it from all others; "" where it cannot take part
	Why    string // it cannot
}

const (
	// cardBytes is what a card fills on the ring.
	cardBytes = 512
	// gathering is how long ranks wait for each other to join a group.
	gathering = 30 * time.Second
)

// JoinFabric has the ranks of a view choose, after Enter, what gradients and updates
// go through: the devices' own fabric, if every rank has a device of its own that
// reaches the others', or the ring of hosts. All ranks call it, and all get the same
// sentence, which says what was chosen and why. An error is that of the ring, or says
// why there is no fabric where a rank wants nothing else.
func (t *Trainer) JoinFabric(ctx context.Context, want Fabric) (string, error) {
	v := t.view
	if v.comm.Size() == 1 {
		return "one rank has nobody to add gradients with", nil
	}
	cards, err := v.show(ctx, t.applied, 0, t.card(want))
	if err != nil {
		return "", err
	}
	why := refusal(cards)
	if why == "" {
		if why, err = t.joinGroup(ctx, want); err != nil {
			return "", err
		}
	}
	if why == "" {
		return fmt.Sprintf("gradients go through NCCL: %d ranks have a GPU each", len(cards)), nil
	}
	for rank, c := range cards {
		if c.Want == FabricNCCL {
			return "", fmt.Errorf("rank %d was started with --fabric nccl, but %s; start it with --fabric auto", rank, why)
		}
	}
	return "gradients go round the ring of hosts: " + why, nil
}

func (t *Trainer) card(want Fabric) card {
	c := card{Want: want}
	f, can := t.be.(kernels.Fabric)
	if !can {
		c.Why = "device " + t.be.Info().Device + " has no fabric"
		return c
	}
	device, err := f.FabricDevice()
	if err != nil {
		c.Why = err.Error()
		return c
	}
	c.Device = device
	return c
}

// refusal says why ranks cannot use their devices' fabric; "" if they can.
func refusal(cards []card) string {
	owner := map[string]int{}
	for rank, c := range cards {
		if c.Want == FabricRing {
			return fmt.Sprintf("rank %d was started with --fabric ring", rank)
		}
		if c.Device == "" {
			return fmt.Sprintf("rank %d cannot do better: %s", rank, c.Why)
		}
		if other, shared := owner[c.Device]; shared {
			return fmt.Sprintf("ranks %d and %d share one device", other, rank)
		}
		owner[c.Device] = rank
	}
	return ""
}

// encode writes a card, with as much of the reason as there is room for.
func (c card) encode() ([]byte, error) {
	for {
		raw, err := json.Marshal(c)
		if err != nil || len(raw) <= cardBytes {
			return raw, err
		}
		if c.Why == "" {
			return nil, fmt.Errorf("the device's name %q is too long to be told to other ranks", c.Device)
		}
		c.Why = c.Why[:len(c.Why)*3/4]
	}
}

// show hands a card round and returns all ranks'.
func (v *view) show(ctx context.Context, step int64, round int, mine card) ([]card, error) {
	raw, err := mine.encode()
	if err != nil {
		return nil, err
	}
	size := v.comm.Size()
	all, bounds := bytes.Repeat([]byte{' '}, size*cardBytes), make([]int, size+1)
	for i := range bounds {
		bounds[i] = i * cardBytes
	}
	copy(all[bounds[v.rank]:], raw)
	if err := v.comm.AllGather(ctx, collective.Point{Step: step, Phase: "fabric", Bucket: round}, all, bounds); err != nil {
		return nil, err
	}
	cards := make([]card, size)
	for rank := range cards {
		if err := json.Unmarshal(all[bounds[rank]:bounds[rank+1]], &cards[rank]); err != nil {
			return nil, fmt.Errorf("rank %d tells nonsense about its device: %w", rank, err)
		}
	}
	return cards, nil
}

// joinGroup makes the group that rank 0 names. why is why there is none: it could not
// be made everywhere.
func (t *Trainer) joinGroup(ctx context.Context, want Fabric) (why string, err error) {
	v, f := t.view, t.be.(kernels.Fabric)
	id, failed := []byte(nil), error(nil)
	if v.rank == 0 {
		id, failed = f.NewGroupID()
	}
	name := make([]byte, 1+kernels.MaxGroupID) // its length, and room for it
	if len(id) <= kernels.MaxGroupID && failed == nil {
		name[0] = byte(len(id))
		copy(name[1:], id)
	}
	if err := v.comm.Broadcast(ctx, collective.Point{Step: t.applied, Phase: "fabric", Bucket: 1}, name, 0); err != nil {
		return "", err
	}
	mine, group := t.card(want), kernels.Group(nil)
	if failed == nil {
		group, failed = t.takeSeat(ctx, f, name)
	}
	if failed != nil {
		mine.Device, mine.Why = "", failed.Error()
	}
	cards, err := v.show(ctx, t.applied, 2, mine)
	if err == nil {
		why = refusal(cards)
	}
	if err == nil && why == "" {
		why, err = "", t.useGroup(group)
	}
	if group != nil && (err != nil || why != "") {
		group.Abort(fmt.Errorf("the group was given up: %s", why))
	}
	return why, err
}

func (t *Trainer) takeSeat(ctx context.Context, f kernels.Fabric, name []byte) (kernels.Group, error) {
	n := int(name[0])
	if n == 0 || n > kernels.MaxGroupID {
		return nil, fmt.Errorf("rank 0 could not name a group")
	}
	ctx, cancel := context.WithTimeout(ctx, gathering)
	defer cancel()
	return f.JoinGroup(ctx, name[1:1+n], t.view.rank, t.view.comm.Size())
}

// useGroup has gradients and updates go through a group. With sum-bf16, bfloat16
// copies of the gradient travel.
func (t *Trainer) useGroup(g kernels.Group) error {
	r := t.view.reduction
	if t.op == collective.SumBF16 {
		half, err := t.be.Alloc(kernels.BF16, t.model.Layout().Size)
		if err != nil {
			return fmt.Errorf("gradients in bfloat16: %w", err)
		}
		r.rounded = half
		for i := range r.buckets {
			b := &r.buckets[i]
			b.travels = half.Slice(b.lo, b.hi)
		}
	}
	r.group = g
	return nil
}

// abortWith has a group given up when ctx ends, until release.
func abortWith(ctx context.Context, g kernels.Group) (release func() bool) {
	return context.AfterFunc(ctx, func() { g.Abort(context.Cause(ctx)) })
}
