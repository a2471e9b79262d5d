/* What a person and their browser do at a desk of Windows, for tests:
 *
 *   person type TEXT          types into the agent's window and presses OK
 *   person cancel             presses Cancel there
 *   person post PORT TX ORIGIN  posts the form of the sign-in page to the agent,
 *                             and prints the status and where it leads
 */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_OK = 1, ID_CANCEL = 2, ID_FIELD = 101, PATIENCE = 60 * 1000 };

static int fail(const char *why) {
  fprintf(stderr, "person: %s\n", why);
  return 1;
}

/* window waits for the window that asks for a passcode. */
static HWND window(void) {
  for (int waited = 0; waited < PATIENCE; waited += 20, Sleep(20)) {
    HWND at = NULL;
    while ((at = FindWindowExA(NULL, at, "#32770", "Lanyard")) != NULL)
      if (IsWindowVisible(at) && GetDlgItem(at, ID_FIELD) != NULL) return at;
  }
  return NULL;
}

static int presses(HWND at, int button) { return PostMessageA(GetDlgItem(at, button), BM_CLICK, 0, 0) ? 0 : fail("no such button"); }

static int types(const char *text) {
  HWND at = window();
  if (at == NULL) return fail("there is no window");
  for (; *text; text++) SendMessageA(GetDlgItem(at, ID_FIELD), WM_CHAR, (WPARAM)*text, 0);
  return presses(at, ID_OK);
}

static int cancels(void) {
  HWND at = window();
  return at == NULL ? fail("there is no window") : presses(at, ID_CANCEL);
}

static int posts(const char *port, const char *tx, const char *origin) {
  WSADATA data;
  char said[8192], body[512];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((u_short)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (WSAStartup(MAKEWORD(2, 2), &data) != 0) return fail("no network");
  SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(s, (struct sockaddr *)&to, sizeof to) != 0) return fail("nobody listens");
  snprintf(body, sizeof body, "tx=%s", tx);
  int n = snprintf(said, sizeof said,
                   "POST /v1/done HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nOrigin: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                   "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                   port, origin, (int)strlen(body), body);
  if (n <= 0 || n >= (int)sizeof said || send(s, said, n, 0) != n) return fail("it could not be posted");
  n = 0;
  for (int k; n < (int)sizeof said - 1 && (k = recv(s, said + n, (int)sizeof said - 1 - n, 0)) > 0; n += k) {}
  said[n] = 0;
  char *leads = strstr(said, "\r\nLocation: ");
  printf("%.3s ", n > 12 ? said + 9 : "???");
  if (leads != NULL) printf("%.*s", (int)strcspn(leads + 12, "\r"), leads + 12);
  printf("\n");
  return 0;
}

int main(int n, char **words) {
  if (n == 3 && strcmp(words[1], "type") == 0) return types(words[2]);
  if (n == 2 && strcmp(words[1], "cancel") == 0) return cancels();
  if (n == 5 && strcmp(words[1], "post") == 0) return posts(words[2], words[3], words[4]);
  return fail("it is not known how to do that");
}
