package gossip

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"github.com/hashicorp/memberlist"
)

// Role is what a member does in its cluster.
type Role string

// The two roles.
const (
	Coordinator Role = "coordinator"
	Node        Role = "node"
)

// Meta is what a member tells about itself. Encoded it has at most
// [memberlist.MetaMaxSize] (512) bytes.
type Meta struct {
	ID          string `json:"id"`  // the node's name, unique among the living
	Incarnation uint64 `json:"inc"` // rises with every start of the same node
	Role        Role   `json:"role"`
	Address     string `json:"addr"`          // host:port of its gRPC server
	Device      string `json:"dev,omitempty"` // "cpu", "cuda:0"
	Leaving     bool   `json:"bye,omitempty"` // it is about to leave on its own accord
}

// Longest fields, in bytes: together with JSON's syntax they fit memberlist's limit.
const (
	maxID      = 64
	maxAddress = 255
	maxDevice  = 32
)

// CheckID reports whether id can name a node: 1 to 64 letters, digits, dots,
// hyphens and underscores.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > maxID {
		return fmt.Errorf("a node's name has 1 to %d characters, %.80q has %d", maxID, id, len(id))
	}
	for _, c := range []byte(id) {
		if !isIDByte(c) {
			return fmt.Errorf("a node's name has only letters, digits, dots, hyphens and underscores, but %q contains %q", id, c)
		}
	}
	return nil
}

func isIDByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '.' || c == '-' || c == '_'
}

// check reports what is wrong with m, be it our own or a stranger's.
func (m Meta) check() error {
	if err := CheckID(m.ID); err != nil {
		return err
	}
	if m.Role != Coordinator && m.Role != Node {
		return fmt.Errorf("member %s has the unknown role %.20q", m.ID, m.Role)
	}
	if len(m.Address) > maxAddress || len(m.Device) > maxDevice {
		return fmt.Errorf("member %s has an address of %d or a device name of %d bytes, the limits are %d and %d",
			m.ID, len(m.Address), len(m.Device), maxAddress, maxDevice)
	}
	if _, _, err := net.SplitHostPort(m.Address); err != nil {
		return fmt.Errorf("member %s has the address %q, which is not host:port: %w", m.ID, m.Address, err)
	}
	return nil
}

// name is the member's name in memberlist.
func (m Meta) name() string {
	return m.ID + "#" + strconv.FormatUint(m.Incarnation, 10)
}

func (m Meta) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(data) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("member %s: its metadata takes %d bytes, gossip carries %d", m.ID, len(data), memberlist.MetaMaxSize)
	}
	return data, nil
}

// decode reads what another member said about itself.
func decode(data []byte) (Meta, error) {
	if len(data) > memberlist.MetaMaxSize {
		return Meta{}, fmt.Errorf("metadata of %d bytes, gossip carries %d", len(data), memberlist.MetaMaxSize)
	}
	var m Meta
	if err := json.Unmarshal(data, &m); err != nil {
		return Meta{}, fmt.Errorf("unreadable metadata: %w", err)
	}
	return m, m.check()
}
