package desk

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
)

// rowSize is the size of a row of Windows' table of connections, with the
// process that holds each (MIB_TCPROW_OWNER_PID).
const rowSize = 24

// established is the state of a connection that both ends have made.
const established = 5

// holdersIn returns the processes that hold a connection, by its two ends.
// Another program may have bound the same port, so there can be several: whoever
// asks must trust them all.
func holdersIn(table []byte, from, to netip.AddrPort) ([]uint32, error) {
	if len(table) < 4 {
		return nil, errors.New("the table of connections is cut short")
	}
	n, rows := uint64(binary.LittleEndian.Uint32(table)), table[4:]
	if n > uint64(len(rows)/rowSize) {
		return nil, errors.New("the table of connections is cut short")
	}
	var all []uint32
	for row := range slices.Chunk(rows[:n*rowSize], rowSize) {
		local, remote := addressIn(row[4:]), addressIn(row[12:])
		if binary.LittleEndian.Uint32(row) == established && local == from && remote == to {
			all = append(all, binary.LittleEndian.Uint32(row[20:]))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// addressIn reads an address and a port, in the order of bytes of a network. The
// port's upper half is of no use.
func addressIn(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:]))
}
