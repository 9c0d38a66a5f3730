package gossip

import (
	"fmt"
	"sync"

	"github.com/hashicorp/memberlist"
)

// identity is our own metadata, and the judge of others'.
type identity struct {
	mu      sync.Mutex
	meta    Meta
	encoded []byte
	living  *roster
}

func newIdentity(meta Meta, living *roster) (*identity, error) {
	id := &identity{living: living}
	return id, id.set(func(m *Meta) { *m = meta })
}

// set changes our metadata, or nothing if it would become invalid.
func (id *identity) set(change func(*Meta)) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	meta := id.meta
	change(&meta)
	encoded, err := meta.encode()
	if err != nil {
		return err
	}
	id.meta, id.encoded = meta, encoded
	return nil
}

// NodeMeta implements [memberlist.Delegate].
func (id *identity) NodeMeta(int) []byte {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.encoded
}

// NotifyAlive implements [memberlist.AliveDelegate]: members whose metadata is
// invalid or does not fit their name are not let in.
func (id *identity) NotifyAlive(peer *memberlist.Node) error {
	meta, err := decode(peer.Meta)
	if err != nil {
		return err
	}
	if meta.name() != peer.Name {
		return fmt.Errorf("member %.80q says that it is %s", peer.Name, meta.name())
	}
	return id.living.admit(peer.Name)
}

// NotifyMsg implements [memberlist.Delegate]; we send no messages of our own.
func (id *identity) NotifyMsg([]byte) {}

// GetBroadcasts implements [memberlist.Delegate].
func (id *identity) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements [memberlist.Delegate].
func (id *identity) LocalState(bool) []byte { return nil }

// MergeRemoteState implements [memberlist.Delegate].
func (id *identity) MergeRemoteState([]byte, bool) {}
