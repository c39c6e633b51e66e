package policy

import "strings"

// actionDialect is how actions are written: with wildcards, without regard to
// case.
var actionDialect = dialect{wildcards: true, fold: true}

// A mask says roughly which actions a statement is about, so that most of
// those that are about others cost one instruction. A request's mask has a bit
// for its whole action, one for its service with the name's first letters, one
// for its service, and the one that every request has; a pattern's mask has
// the finest of these that it fixes. If they share no bit, they do not match.
const (
	exactBits   = 32
	beginBits   = 16
	serviceBits = 15
	anyAction   = 1 << 63

	beginLetters = 3 // of an action's name: Get, Put, Lis
)

func exactBit(hash uint32) uint64   { return 1 << (hash % exactBits) }
func beginBit(hash uint32) uint64   { return 1 << (exactBits + hash%beginBits) }
func serviceBit(hash uint32) uint64 { return 1 << (exactBits + beginBits + hash%serviceBits) }

// actionMask is the mask of a request's action.
func actionMask(action string) uint64 {
	mask, hash, name := uint64(anyAction), uint32(fnvOffset), -1
	for i := range len(action) {
		hash = fold(hash, action[i])
		switch {
		case name < 0 && action[i] == ':':
			name = i + 1
			mask |= serviceBit(hash)
		case name >= 0 && i+1 == name+beginLetters:
			mask |= beginBit(hash)
		}
	}
	return mask | exactBit(hash)
}

// patternMask is the mask of a pattern for actions.
func patternMask(pattern string) uint64 {
	literal := pattern
	wild := strings.IndexAny(pattern, "*?")
	if wild >= 0 {
		literal = pattern[:wild]
	}
	mask, hash, name := uint64(anyAction), uint32(fnvOffset), -1
	for i := range len(literal) {
		hash = fold(hash, literal[i])
		switch {
		case name < 0 && literal[i] == ':':
			name = i + 1
			mask = serviceBit(hash)
		case name >= 0 && i+1 == name+beginLetters:
			mask = beginBit(hash)
		}
	}
	if wild < 0 {
		return exactBit(hash)
	}
	return mask
}

const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// fold is FNV-1a of the bytes so far and one more, letter case aside.
func fold(hash uint32, b byte) uint32 {
	if b >= 'A' && b <= 'Z' {
		b |= 0x20
	}
	return (hash ^ uint32(b)) * fnvPrime
}
