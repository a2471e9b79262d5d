package desk

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// errStranger says that a connection is of another person, or of a session of
// theirs at another desk.
var errStranger = errors.New("the other end is not of this session")

// SamePerson says nil if the other end of a loopback connection is a program of
// this person in this session. It asks Windows, which nobody can mislead.
func SamePerson(peer, here net.Addr) error {
	from, ok1 := endOf(peer)
	to, ok2 := endOf(here)
	if !ok1 || !ok2 || !to.Addr().IsLoopback() {
		return errStranger
	}
	asked := now()
	pids, err := holdersOf(from, to)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return errStranger
	}
	for _, pid := range pids {
		if err := ours(pid, asked); err != nil {
			return err
		}
	}
	return nil
}

// endOf is one end of a connection by IPv4.
func endOf(a net.Addr) (netip.AddrPort, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok || t.IP.To4() == nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(t.IP.To4())), uint16(t.Port)), true
}

// SameProgram says nil if a process is a program of this person in this session.
// Whoever asks has to know that the process has not ended.
func SameProgram(pid uint32) error { return ours(pid, now()) }

func now() int64 {
	var t windows.Filetime
	windows.GetSystemTimePreciseAsFileTime(&t)
	return t.Nanoseconds()
}

// ours says nil if the process that had a number at a moment is of this person
// and session. A process that has ended leaves its number to another, which
// began after that moment.
func ours(pid uint32, at int64) error {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return fmt.Errorf("%w: %w", errStranger, err) // of others it may not be asked
	}
	defer func() { _ = windows.CloseHandle(process) }() // until then its number is no other's
	var began, ended, inKernel, inUser windows.Filetime
	err1 := windows.GetProcessTimes(process, &began, &ended, &inKernel, &inUser)
	theirs, err2 := personOf(process)
	mine, err3 := personOf(windows.CurrentProcess())
	var session, own uint32
	err4 := windows.ProcessIdToSessionId(pid, &session)
	err5 := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &own)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return fmt.Errorf("find the other end: %w", err)
	}
	if began.Nanoseconds() > at || !theirs.Equals(mine) || session != own {
		return errStranger
	}
	return nil
}

func personOf(process windows.Handle) (*windows.SID, error) {
	var t windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &t); err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	user, err := t.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid.Copy()
}

// maxTable bounds the table of connections.
const maxTable = 16 << 20

const (
	familyIPv4    = 2 // AF_INET
	allWithHolder = 5 // TCP_TABLE_OWNER_PID_ALL
)

var procConnections = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// holdersOf asks for the processes at the other end of a connection.
func holdersOf(from, to netip.AddrPort) ([]uint32, error) {
	for size := uint32(64 << 10); size <= maxTable; {
		table, room := make([]byte, size), size
		code, _, _ := procConnections.Call(uintptr(unsafe.Pointer(unsafe.SliceData(table))), uintptr(unsafe.Pointer(&room)), 0, familyIPv4, allWithHolder, 0)
		switch windows.Errno(code) {
		case windows.ERROR_SUCCESS:
			return holdersIn(table, from, to)
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size = max(2*size, room) // it grows while we ask
		default:
			return nil, fmt.Errorf("find the other end: %w", windows.Errno(code))
		}
	}
	return nil, errors.New("find the other end: there are too many connections")
}
