package desk

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

// tableRow is a row of Windows' table of connections.
type tableRow struct {
	state         uint32
	local, remote string
	pid           uint32
}

func tableOf(rows ...tableRow) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(rows)))
	for _, r := range rows {
		b = binary.LittleEndian.AppendUint32(b, r.state)
		for _, a := range []string{r.local, r.remote} {
			at := netip.MustParseAddrPort(a)
			b = append(b, at.Addr().AsSlice()...)
			b = append(binary.BigEndian.AppendUint16(b, at.Port()), 0xAA, 0xAA)
		}
		b = binary.LittleEndian.AppendUint32(b, r.pid)
	}
	return b
}

func TestHoldersIn(t *testing.T) {
	const browser, agent, other = "127.0.0.1:50000", "127.0.0.1:40000", "127.0.0.1:40001"
	for _, tt := range []struct {
		rule string
		rows []tableRow
		want []uint32
	}{
		{"own rule: the other end of a connection is found by its address", []tableRow{{5, agent, browser, 1}, {5, browser, agent, 2}, {2, "0.0.0.0:40000", "0.0.0.0:0", 1}}, []uint32{2}},
		{"own rule: all who hold the connection are found, in whichever order", []tableRow{{5, browser, agent, 9}, {5, browser, agent, 2}, {5, browser, other, 7}}, []uint32{2, 9}},
		{"own rule: another address, or one of another computer, is not the other end", []tableRow{{5, "127.0.0.2:50000", agent, 3}, {5, "127.0.0.1:50001", agent, 4}, {5, browser, "192.0.2.1:443", 5}}, nil},
		{"own rule: a connection that is not made, or over, has no other end", []tableRow{{2, browser, agent, 3}, {3, browser, agent, 4}, {11, browser, agent, 5}}, nil},
		{"own rule: an empty table has nobody", nil, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := holdersIn(append(tableOf(tt.rows...), 1, 2, 3), netip.MustParseAddrPort(browser), netip.MustParseAddrPort(agent))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("holdersIn() = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	t.Run("own rule: a table that is cut short says nothing", func(t *testing.T) {
		whole := tableOf(tableRow{5, browser, agent, 2})
		for n := range whole {
			if got, err := holdersIn(whole[:n], netip.MustParseAddrPort(browser), netip.MustParseAddrPort(agent)); err == nil || got != nil {
				t.Errorf("of %d bytes: %v", n, got)
			}
		}
	})
}

func FuzzHoldersIn(f *testing.F) {
	f.Add(tableOf(tableRow{5, "127.0.0.1:1", "127.0.0.1:2", 3}), uint16(1))
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0}, uint16(0))
	f.Fuzz(func(t *testing.T, table []byte, port uint16) {
		found, err := holdersIn(table, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), netip.MustParseAddrPort("127.0.0.1:2"))
		if len(found)*rowSize > len(table) || err != nil && found != nil {
			t.Errorf("%v, %v", found, err)
		}
	})
}
