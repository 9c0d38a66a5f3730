// Package gossip tells a process which other processes of its cluster are
// there, and when one joins, leaves or dies: hashicorp/memberlist with our
// timings, our metadata, and its logger sent through log/slog.
//
// It is a second opinion. A broken stream says that a peer is dead within
// milliseconds, but a stopped process or a dead link breaks no stream; gossip's
// verdict comes within about the failure timeout in those cases too. Whoever
// holds the gossip key can forge membership, so nothing is ever authorised by
// what is heard here: decisions are the coordinator's, see internal/coord.
//
// A member's name is its id and incarnation ("gpu07#1732391445"): memberlist
// takes a name that comes back at another address for a conflict, and a
// restarted process is a new member.
package gossip
