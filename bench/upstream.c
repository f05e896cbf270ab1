/* A stand-in for Anthropic that costs next to nothing: HTTP/1.1 with keep-alive over epoll, one
 * thread, with TLS or without. What it answers stands in the request's query:
 *
 *   ?size=N                 a message of about N bytes, with usage
 *   ?events=N&every=US      a stream of N events, one each US microseconds; each event tells the
 *                           moment it was written (CLOCK_MONOTONIC, ns, behind an @)
 *   ?events=N&batch=B       a stream of N events as fast as they are taken, B in a write
 *   ?hold=1                 a stream that begins and then says nothing more
 *
 * upstream PORT [CERTIFICATE KEY]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 256 * 1024, HEAD_SIZE = 16 * 1024, MAX_BATCH = 256 };

struct conn {
    int fd, listed, writable_wanted;
    SSL *ssl;
    char head[HEAD_SIZE];
    size_t head_len, body_left;
    char *out;
    size_t out_len, out_cap, out_at;
    long events_left, batch, every_ns, due;
};

static int epoll_fd, timer_fd;
static SSL_CTX *tls;
static struct conn **paced;
static size_t n_paced, paced_cap;

static long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* What waits to be written. */

static void append(struct conn *c, const char *data, size_t n)
{
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_cap);
        if (!c->out)
            fail("realloc");
    }
    memcpy(c->out + c->out_len, data, n);
    c->out_len += n;
}

static void append_chunk(struct conn *c, const char *data, size_t n)
{
    char size[20];
    append(c, size, (size_t)sprintf(size, "%zx\r\n", n));
    append(c, data, n);
    append(c, "\r\n", 2);
}

static void append_event(struct conn *c)
{
    char event[256];
    int n = sprintf(event,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"@%019ld and so on\"}}\n\n", now_ns());
    append_chunk(c, event, (size_t)n);
}

/* Answers. */

#define USAGE "\"usage\":{\"input_tokens\":321,\"cache_creation_input_tokens\":12," \
    "\"cache_read_input_tokens\":4567,\"output_tokens\":%d,\"service_tier\":\"standard\"}"
#define HEADERS "date: Sun, 22 Nov 2026 12:00:00 GMT\r\nrequest-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n" \
    "anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: 3999\r\n" \
    "anthropic-organization-id: 00000000-0000-0000-0000-000000000000\r\nserver: mock\r\n"

static const char begin[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    "transfer-encoding: chunked\r\ncache-control: no-cache\r\n" HEADERS "\r\n";

static void answer_message(struct conn *c, long size)
{
    static char *body;
    static long made = -1;
    static size_t length;
    char head[1024];
    if (made != size) { /* one size at a time is asked for, mostly */
        char start[1024], end[1024];
        int n = sprintf(start, "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\","
            "\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"text\",\"text\":\"");
        int m = sprintf(end, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null," USAGE "}", 42);
        long fill = size - n - m > 0 ? size - n - m : 0;
        length = (size_t)(n + fill + m);
        body = realloc(body, length);
        memcpy(body, start, (size_t)n);
        memset(body + n, 'x', (size_t)fill);
        memcpy(body + n + fill, end, (size_t)m);
        made = size;
    }
    append(c, head, (size_t)sprintf(head, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        "content-length: %zu\r\n" HEADERS "\r\n", length));
    append(c, body, length);
}

static void begin_stream(struct conn *c)
{
    char event[1024];
    int n = sprintf(event, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
        "\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],"
        "\"model\":\"claude-sonnet-4-5-20250929\"," USAGE "}}\n\n", 1);
    append(c, begin, sizeof begin - 1);
    append_chunk(c, event, (size_t)n);
}

static void end_stream(struct conn *c)
{
    char event[1024];
    int n = sprintf(event, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
        "\"stop_reason\":\"end_turn\"}," USAGE "}\n\n", 345);
    append_chunk(c, event, (size_t)n);
    static const char stop[] = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    append_chunk(c, stop, sizeof stop - 1);
    append(c, "0\r\n\r\n", 5);
}

static long number(const char *query, const char *name, long otherwise)
{
    const char *at = query ? strstr(query, name) : NULL;
    return at ? atol(at + strlen(name)) : otherwise;
}

static void set_timer(void)
{
    long first = 0;
    for (size_t i = 0; i < n_paced; i++)
        if (!first || paced[i]->due < first)
            first = paced[i]->due;
    struct itimerspec when = {{0, 0}, {first / 1000000000L, first % 1000000000L}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void list_paced(struct conn *c)
{
    if (n_paced == paced_cap)
        paced = realloc(paced, (paced_cap = paced_cap * 2 + 64) * sizeof *paced);
    paced[n_paced++] = c;
    c->listed = 1;
    set_timer();
}

static void unlist(struct conn *c)
{
    for (size_t i = 0; c->listed && i < n_paced; i++)
        if (paced[i] == c) {
            paced[i] = paced[--n_paced];
            c->listed = 0;
        }
}

static void answer(struct conn *c)
{
    char *line_end = memchr(c->head, '\r', c->head_len);
    *line_end = 0;
    const char *query = strchr(c->head, '?');
    if (number(query, "hold=", 0)) {
        begin_stream(c);
    } else if ((c->events_left = number(query, "events=", 0))) {
        c->every_ns = number(query, "every=", 0) * 1000;
        c->batch = number(query, "batch=", 8);
        begin_stream(c);
        if (c->every_ns) {
            c->due = now_ns() + rand() % c->every_ns; /* streams do not march in step */
            list_paced(c);
        }
    } else {
        answer_message(c, number(query, "size=", 1000));
    }
}

/* Connections. */

static void want_writable(struct conn *c, int wanted)
{
    if (c->writable_wanted == wanted)
        return;
    c->writable_wanted = wanted;
    struct epoll_event e = {EPOLLIN | (wanted ? EPOLLOUT : 0), {.ptr = c}};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(struct conn *c)
{
    unlist(c);
    if (c->ssl)
        SSL_free(c->ssl);
    close(c->fd);
    free(c->out);
    free(c);
}

/* 0 where the connection is gone. */
static int flush(struct conn *c)
{
    for (;;) {
        while (c->out_at < c->out_len) {
            char *data = c->out + c->out_at;
            size_t n = c->out_len - c->out_at;
            ssize_t sent;
            if (c->ssl) {
                sent = SSL_write(c->ssl, data, (int)n);
                if (sent <= 0 && SSL_get_error(c->ssl, (int)sent) == SSL_ERROR_WANT_WRITE)
                    return want_writable(c, 1), 1;
            } else {
                sent = send(c->fd, data, n, MSG_NOSIGNAL);
                if (sent < 0 && errno == EAGAIN)
                    return want_writable(c, 1), 1;
            }
            if (sent <= 0)
                return 0;
            c->out_at += (size_t)sent;
        }
        c->out_len = c->out_at = 0;
        if (!c->events_left || c->every_ns)
            return want_writable(c, 0), 1;
        for (long i = 0; i < c->batch && c->events_left; i++, c->events_left--)
            append_event(c);
        if (!c->events_left)
            end_stream(c);
    }
}

/* Take `n` bytes of requests; 0 where the connection is to be dropped. */
static int take(struct conn *c, char *data, size_t n)
{
    while (n) {
        if (c->body_left) {
            size_t part = n < c->body_left ? n : c->body_left;
            data += part, n -= part, c->body_left -= part;
            if (!c->body_left)
                answer(c), c->head_len = 0;
            continue;
        }
        size_t room = HEAD_SIZE - 1 - c->head_len, part = n < room ? n : room;
        if (!room)
            return 0;
        memcpy(c->head + c->head_len, data, part);
        char *end = memmem(c->head, c->head_len + part, "\r\n\r\n", 4);
        if (!end) {
            c->head_len += part, data += part, n -= part;
            continue;
        }
        size_t used = (size_t)(end + 4 - c->head) - c->head_len;
        data += used, n -= used, c->head_len += used;
        *(end + 2) = 0;
        const char *length = strcasestr(c->head, "\r\ncontent-length:");
        c->body_left = length ? strtoul(length + 17, NULL, 10) : 0;
        if (!c->body_left)
            answer(c), c->head_len = 0;
    }
    return flush(c);
}

static int readable(struct conn *c)
{
    static char in[IN_SIZE];
    for (;;) {
        ssize_t n;
        if (c->ssl) {
            n = SSL_read(c->ssl, in, sizeof in);
            if (n <= 0)
                return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ;
        } else {
            n = recv(c->fd, in, sizeof in, 0);
            if (n <= 0)
                return n < 0 && errno == EAGAIN;
        }
        if (!take(c, in, (size_t)n))
            return 0;
        if (!c->ssl && n < (ssize_t)sizeof in)
            return 1;
    }
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (tls) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
        }
        struct epoll_event e = {EPOLLIN, {.ptr = c}};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void tick(void)
{
    unsigned long ticks;
    if (read(timer_fd, &ticks, sizeof ticks) < 0)
        return;
    long now = now_ns();
    for (size_t i = n_paced; i-- > 0;) {
        struct conn *c = paced[i];
        if (c->due > now)
            continue;
        append_event(c);
        c->due += c->every_ns;
        if (!--c->events_left) {
            unlist(c);
            end_stream(c);
        }
        if (!flush(c))
            shutdown(c->fd, SHUT_RDWR); /* epoll tells, and it is dropped there */
    }
    set_timer();
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4)
        return fprintf(stderr, "usage: upstream PORT [CERTIFICATE KEY]\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4) {
        tls = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_CTX_use_certificate_chain_file(tls, argv[2]) != 1
            || SSL_CTX_use_PrivateKey_file(tls, argv[3], SSL_FILETYPE_PEM) != 1)
            return fprintf(stderr, "upstream: certificate or key cannot be used\n"), 1;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096))
        fail("upstream: listen");
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.ptr = &listener}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &timer_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &e);
    for (;;) {
        struct epoll_event ready[256];
        int n = epoll_wait(epoll_fd, ready, 256, -1), ticked = 0;
        for (int i = 0; i < n; i++) {
            struct conn *c = ready[i].data.ptr;
            if ((void *)c == &listener)
                accept_all(listener);
            else if ((void *)c == &timer_fd)
                ticked = 1;
            else if (((ready[i].events & EPOLLOUT) && !flush(c)) || !readable(c))
                drop(c);
        }
        if (ticked) /* last: it may have connections dropped that are in `ready` */
            tick();
    }
}
