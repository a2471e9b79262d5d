/* A winscard.dll for tests, since Wine's own knows no cards. It has one reader,
 * whose card is at the end of a connection to the port of this computer that
 * LANYARD_TEST_READER names: as a virtual reader (vpcd) it sends commands after
 * their length of two bytes. A connection that is refused is no card. */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __declspec(dllexport)

enum {
  OK = 0, CANCELLED = 0x80100002, INVALID_HANDLE = 0x80100003, SHORT_BUFFER = 0x80100008, UNKNOWN_READER = 0x80100009,
  TIMED_OUT = 0x8010000A, NO_CARD = 0x8010000C, MISMATCH = 0x8010000F, RESET_CARD = 0x80100068, REMOVED_CARD = 0x80100069
};
enum { CHANGED = 0x02, UNKNOWN = 0x04, EMPTY = 0x10, PRESENT = 0x20 };
enum { POWER_ON = 1, POWER_RESET = 2, SEND_ATR = 4 };

typedef struct {
  LPCWSTR name;
  void *user;
  DWORD current, event, atr_length;
  BYTE atr[36];
} state;

static const WCHAR reader[] = L"Test Reader 0", arrivals[] = L"\\\\?PnP?\\Notification";

/* What there is. Handles are places in lent, counted from one; contexts are
 * numbers that nothing is kept of but who of them was told to stop waiting. */
static CRITICAL_SECTION lock;
static SOCKET card = INVALID_SOCKET;
static BYTE atr[36];
static int atr_length;
static DWORD events;
static struct { int used, stale; DWORD inserted; } lent[64];
static ULONG_PTR holder, contexts;
static volatile LONG stopped[1024];

BOOL WINAPI DllMain(HINSTANCE self, DWORD why, LPVOID more) {
  WSADATA data;
  (void)self, (void)more;
  if (why != DLL_PROCESS_ATTACH) return TRUE;
  InitializeCriticalSection(&lock);
  return WSAStartup(MAKEWORD(2, 2), &data) == 0;
}

static int whole(char *to, int n) {
  for (int got = 0, k; got < n; got += k)
    if ((k = recv(card, to + got, n - got, 0)) <= 0) return 0;
  return 1;
}

static int tell(const BYTE *message, int n) {
  BYTE framed[2 + 512] = {(BYTE)(n >> 8), (BYTE)n};
  if (n > 512) return 0;
  memcpy(framed + 2, message, n);
  return send(card, (char *)framed, n + 2, 0) == n + 2;
}

/* hear returns the length of an answer, or -1. */
static int hear(BYTE *to, int room) {
  BYTE size[2];
  if (!whole((char *)size, 2)) return -1;
  int n = size[0] << 8 | size[1];
  return n <= room && whole((char *)to, n) ? n : -1;
}

static void lose(void) {
  closesocket(card);
  card = INVALID_SOCKET;
  events++;
}

/* present says whether there is a card, and powers one that has come. */
static int present(void) {
  if (card != INVALID_SOCKET) { /* a card says nothing unasked: what can be read is its end */
    fd_set readable;
    struct timeval now = {0, 0};
    FD_ZERO(&readable);
    FD_SET(card, &readable);
    if (select(0, &readable, NULL, NULL, &now) == 0) return 1;
    lose();
    return 0;
  }
  char port[16];
  DWORD n = GetEnvironmentVariableA("LANYARD_TEST_READER", port, sizeof port);
  if (n == 0 || n >= sizeof port || atoi(port) == 0) return 0;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((u_short)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  card = socket(AF_INET, SOCK_STREAM, 0);
  const BYTE on = POWER_ON, ask = SEND_ATR;
  if (connect(card, (struct sockaddr *)&to, sizeof to) == 0 && tell(&on, 1) && tell(&ask, 1) && (atr_length = hear(atr, sizeof atr)) > 1) {
    events++;
    return 1;
  }
  closesocket(card);
  card = INVALID_SOCKET;
  return 0;
}

/* protocol is what the card speaks: T=0 unless its ATR says otherwise. */
static DWORD protocol(void) {
  int i = 2;
  for (int bit = 0x10; bit < 0x80; bit <<= 1) i += (atr[1] & bit) != 0;
  return (atr[1] & 0x80) && i - 1 < atr_length && (atr[i - 1] & 0x0F) == 1 ? 2 : 1;
}

EXPORT LONG WINAPI SCardEstablishContext(DWORD scope, LPCVOID a, LPCVOID b, ULONG_PTR *context) {
  (void)scope, (void)a, (void)b;
  EnterCriticalSection(&lock);
  *context = ++contexts;
  LeaveCriticalSection(&lock);
  return OK;
}

EXPORT LONG WINAPI SCardReleaseContext(ULONG_PTR context) { return context == 0 ? (LONG)INVALID_HANDLE : OK; }

EXPORT LONG WINAPI SCardCancel(ULONG_PTR context) {
  stopped[context % 1024] = 1;
  return OK;
}

EXPORT LONG WINAPI SCardListReadersW(ULONG_PTR context, LPCWSTR groups, LPWSTR names, DWORD *n) {
  (void)context, (void)groups;
  DWORD room = *n, need = sizeof reader / sizeof *reader + 1;
  *n = need;
  if (names == NULL) return OK;
  if (room < need) return SHORT_BUFFER;
  memcpy(names, reader, sizeof reader);
  names[need - 1] = 0;
  return OK;
}

/* look fills in one state and says whether it is another than was thought. */
static int look(state *s) {
  s->event = UNKNOWN;
  s->atr_length = 0;
  if (wcscmp(s->name, arrivals) == 0) s->event = 1 << 16;
  if (wcscmp(s->name, reader) == 0) {
    s->event = present() ? PRESENT : EMPTY;
    s->event |= events << 16;
    if (s->event & PRESENT) memcpy(s->atr, atr, s->atr_length = atr_length);
  }
  if (s->event == (s->current & ~CHANGED)) return 0;
  s->event |= CHANGED;
  return 1;
}

EXPORT LONG WINAPI SCardGetStatusChangeW(ULONG_PTR context, DWORD limit, state *states, DWORD n) {
  stopped[context % 1024] = 0;
  for (DWORD waited = 0;; waited += 20) {
    int differs = 0;
    EnterCriticalSection(&lock);
    for (DWORD i = 0; i < n; i++) differs |= look(&states[i]);
    LeaveCriticalSection(&lock);
    if (differs) return OK;
    if (waited >= limit) return TIMED_OUT;
    if (stopped[context % 1024]) return CANCELLED;
    Sleep(20);
  }
}

EXPORT LONG WINAPI SCardConnectW(ULONG_PTR context, LPCWSTR name, DWORD share, DWORD protocols, ULONG_PTR *handle, DWORD *active) {
  LONG out = NO_CARD;
  (void)context, (void)share;
  if (wcscmp(name, reader) != 0) return UNKNOWN_READER;
  EnterCriticalSection(&lock);
  if (present()) {
    out = protocols & protocol() ? OK : (LONG)MISMATCH;
    for (ULONG_PTR i = 0; out == OK && i < 64; i++) {
      if (lent[i].used) continue;
      lent[i].used = 1, lent[i].stale = 0, lent[i].inserted = events;
      *handle = i + 1, *active = protocol();
      break;
    }
  }
  LeaveCriticalSection(&lock);
  return out;
}

/* right says what is wrong with a handle. */
static LONG right(ULONG_PTR handle) {
  if (handle == 0 || handle > 64 || !lent[handle - 1].used) return INVALID_HANDLE;
  if (!present() || lent[handle - 1].inserted != events) return REMOVED_CARD;
  return OK;
}

static void leave(ULONG_PTR handle, DWORD leaving) {
  const BYTE reset = POWER_RESET;
  if (holder == handle) holder = 0;
  if (leaving == 0 || right(handle) != OK) return;
  if (!tell(&reset, 1)) lose();
  for (ULONG_PTR i = 0; i < 64; i++) lent[i].stale |= i + 1 != handle;
}

EXPORT LONG WINAPI SCardReconnect(ULONG_PTR handle, DWORD share, DWORD protocols, DWORD leaving, DWORD *active) {
  (void)share, (void)protocols, (void)leaving;
  EnterCriticalSection(&lock);
  LONG out = right(handle);
  if (out == OK) lent[handle - 1].stale = 0, *active = protocol();
  LeaveCriticalSection(&lock);
  return out;
}

EXPORT LONG WINAPI SCardDisconnect(ULONG_PTR handle, DWORD leaving) {
  EnterCriticalSection(&lock);
  if (handle != 0 && handle <= 64) {
    leave(handle, leaving);
    lent[handle - 1].used = 0;
  }
  LeaveCriticalSection(&lock);
  return OK;
}

EXPORT LONG WINAPI SCardBeginTransaction(ULONG_PTR handle) {
  for (;; Sleep(5)) {
    EnterCriticalSection(&lock);
    LONG out = right(handle);
    if (out == OK && lent[handle - 1].stale) out = RESET_CARD;
    int mine = out == OK && (holder == 0 || holder == handle);
    if (mine) holder = handle;
    LeaveCriticalSection(&lock);
    if (out != OK || mine) return out;
  }
}

EXPORT LONG WINAPI SCardEndTransaction(ULONG_PTR handle, DWORD leaving) {
  EnterCriticalSection(&lock);
  LONG out = right(handle);
  leave(handle, leaving);
  LeaveCriticalSection(&lock);
  return out;
}

EXPORT LONG WINAPI SCardTransmit(ULONG_PTR handle, const DWORD *head, const BYTE *command, DWORD length, void *back, BYTE *answer, DWORD *room) {
  (void)back;
  EnterCriticalSection(&lock);
  LONG out = right(handle);
  if (out == OK && (head[0] != protocol() || head[1] != 8)) out = MISMATCH;
  if (out == OK) {
    int n = tell(command, (int)length) ? hear(answer, (int)*room) : -1;
    if (n < 0) lose(), out = REMOVED_CARD;
    else *room = (DWORD)n;
  }
  LeaveCriticalSection(&lock);
  return out;
}
