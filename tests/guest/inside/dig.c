/* SPDX-License-Identifier: MIT */
/*
 * As much of dig(1) as the scenarios and the demo use, for the guest that Debian has no dig for:
 *
 *   dig @ADDRESS [-p PORT] [+short] [+tcp] [+tries=1] [+time=SECONDS] [-x ADDRESS | NAME [TYPE] [CLASS]]
 *
 * One question; an answer that was cut off is asked for again over TCP. Status 9: no answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEADER 12
#define NO_ANSWER 9
#define TRUNCATED 2

static const struct {
	const char *name;
	int number;
} types[] = {{"A", 1},     {"CNAME", 5}, {"PTR", 12}, {"TXT", 16},
	     {"AAAA", 28}, {"SRV", 33},  {"CH", 3}};

static const char *const statuses[] = {"NOERROR",  "FORMERR", "SERVFAIL",
				       "NXDOMAIN", "NOTIMP",  "REFUSED"};
static unsigned char packet[65537];
static int size;

static int number_of(const char *name)
{
	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcasecmp(name, types[i].name))
			return types[i].number;
	return 0;
}

static int word(int at)
{
	return packet[at] << 8 | packet[at + 1];
}

/* Lay a question into the packet. */
static void write_question(const char *name, int type, int class)
{
	static const unsigned char header[HEADER] = {0x12, 0x34, 1, 0, 0, 1};

	memcpy(packet, header, HEADER);
	size = HEADER;
	while (*name) {
		int length = (int)strcspn(name, ".");

		packet[size++] = (unsigned char)length;
		memcpy(packet + size, name, length);
		size += length;
		name += length + (name[length] == '.');
	}
	packet[size++] = 0;
	packet[size++] = 0;
	packet[size++] = (unsigned char)type;
	packet[size++] = 0;
	packet[size++] = (unsigned char)class;
}

static void receive(int fd, int from, int wanted)
{
	while (from < wanted) {
		ssize_t more = recv(fd, packet + from, wanted - from, 0);

		if (more <= 0)
			exit(NO_ANSWER);
		from += (int)more;
	}
}

/* Send the packet and have it replaced by the answer. */
static void ask(const struct sockaddr_in *server, int kind, int seconds)
{
	const struct timeval limit = {.tv_sec = seconds};
	int fd = socket(AF_INET, kind, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const void *)server, sizeof(*server)))
		exit(NO_ANSWER);
	if (kind == SOCK_STREAM) {
		unsigned char length[2] = {(unsigned char)(size >> 8), (unsigned char)size};

		if (send(fd, length, 2, MSG_MORE) != 2 || send(fd, packet, size, 0) != size)
			exit(NO_ANSWER);
		receive(fd, 0, 2);
		size = word(0);
		receive(fd, 0, size);
	} else {
		if (send(fd, packet, size, 0) != size)
			exit(NO_ANSWER);
		size = (int)recv(fd, packet, sizeof(packet), 0);
	}
	close(fd);
	if (size < HEADER)
		exit(NO_ANSWER);
}

/* Copy out a name, following its pointers; returns where it ends. */
static int read_name(int at, char *name)
{
	int end = 0, hops = 0;

	while (at < size && packet[at] && hops < 64) {
		if (packet[at] >= 0xc0) {
			end = end ? end : at + 2;
			at = word(at) & 0x3fff;
			hops++;
			continue;
		}
		name = mempcpy(name, packet + at + 1, packet[at]);
		*name++ = '.';
		at += packet[at] + 1;
	}
	*name = '\0';
	return end ? end : at + 1;
}

static void print_record(int type, int at, int length)
{
	char text[1024];

	if (type == 1 || type == 28) {
		printf("%s\n",
		       inet_ntop(type == 1 ? AF_INET : AF_INET6, packet + at, text, sizeof(text)));
	} else if (type == 16) {
		for (int end = at + length; at < end; at += packet[at] + 1)
			printf("\"%.*s\" ", packet[at], (const char *)packet + at + 1);
		printf("\n");
	} else if (type == 33) {
		read_name(at + 6, text);
		printf("%d %d %d %s\n", word(at), word(at + 2), word(at + 4), text);
	} else {
		read_name(at, text);
		printf("%s\n", text);
	}
}

static void print_answers(int is_short)
{
	char name[1024];
	int at = read_name(HEADER, name) + 4;

	if (!is_short)
		printf(";; status: %s\n", (packet[3] & 15) < 6 ? statuses[packet[3] & 15] : "?");
	for (int i = word(6); i && at + 10 < size; i--) {
		at = read_name(at, name);
		if (!is_short)
			printf("%s ", name);
		print_record(word(at), at + 10, word(at + 8));
		at += 10 + word(at + 8);
	}
}

/* The name that -x looks up. */
static const char *reverse(const char *address)
{
	static char name[64];
	unsigned int a, b, c, d;

	if (sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d) != 4)
		exit(1);
	snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", d, c, b, a);
	return name;
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
	int type = 1, class = 1, kind = SOCK_DGRAM, seconds = 5, is_short = 0;
	const char *name = NULL;

	for (int i = 1; i < argc; i++) {
		if (*argv[i] == '@')
			inet_pton(AF_INET, argv[i] + 1, &server.sin_addr);
		else if (!strcmp(argv[i], "-p") && argv[i + 1])
			server.sin_port = htons((unsigned short)atoi(argv[++i]));
		else if (!strcmp(argv[i], "-x") && argv[i + 1])
			name = reverse(argv[++i]), type = 12;
		else if (!strcmp(argv[i], "+short"))
			is_short = 1;
		else if (!strcmp(argv[i], "+tcp"))
			kind = SOCK_STREAM;
		else if (sscanf(argv[i], "+time=%d", &seconds) == 1 || *argv[i] == '+')
			continue;
		else if (!name)
			name = argv[i];
		else if (number_of(argv[i]) == 3)
			class = 3;
		else
			type = number_of(argv[i]);
	}
	if (!name || strlen(name) > 253 || !type)
		return 1;
	write_question(name, type, class);
	ask(&server, kind, seconds);
	if (kind == SOCK_DGRAM && packet[2] & TRUNCATED) {
		write_question(name, type, class);
		ask(&server, SOCK_STREAM, seconds);
	}
	print_answers(is_short);
	return 0;
}
