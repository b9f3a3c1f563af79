# The collector's health, as the pod's probes ask for it:  ruby health.rb live|ready
#
#   live   fails where a restart helps: Fluentd does not answer, a port is closed, or nothing is taken although there is room.
#   ready  fails where events are not taken, whatever the cause: as above, or a buffer or the disk is full.
#
# S3 being down fails neither: events are taken until the buffer is full, and no restart brings S3 back. An alert says it.
# The variables are those of the configuration. Prints the reason, exits with 1; needs nothing but Ruby.
require "io/wait"
require "json"
require "net/http"
require "socket"

ANSWER_SECONDS = 3
LOOKS_SECONDS = 3 # between two looks at what waits; Fluentd reads thousands of lines in it
ROOM_BYTES = 1_000_000

def variable(name, default)
  ENV["COLLECTOR_#{name}"] || default
end

HOST = {"0.0.0.0" => "127.0.0.1", "::" => "::1"}.then { |every| every.fetch(variable("BIND", "127.0.0.1")) { |bind| bind } }
STATE = variable("STATE", "/var/lib/fluentd")
# No events, but answered by the threads that take events: a message without records, and what load balancers ask. (Where a key is
# asked for, the forward port greets by itself.)
REQUESTS = {
  "forward" => [variable("FORWARD_PORT", "24224"), "\x93\xA6health\x90\x81\xA5chunk\xA6health".b],
  "http" => [variable("HTTP_PORT", "9880"), "GET /health HTTP/1.1\r\nHost: collector\r\nConnection: close\r\n\r\n"],
}

# What Fluentd tells of its S3 outputs; nil where it does not answer.
def outputs
  port = variable("HEALTH_PORT", "24220")
  Net::HTTP.start(HOST, port, open_timeout: ANSWER_SECONDS, read_timeout: ANSWER_SECONDS) do |http|
    JSON.parse(http.get("/api/plugins.json?type=s3&with_config=no").body).fetch("plugins")
  end
rescue SystemCallError, Timeout::Error, EOFError, JSON::ParserError
  nil
end

# What is wrong with a source's port, :closed or :silent; else nil. Of a port that speaks TLS alone only whether it is open.
def fault_of(port, request)
  Socket.tcp(HOST, port, connect_timeout: ANSWER_SECONDS) do |connection|
    next if ENV["COLLECTOR_TLS_CERTIFICATE"]
    connection.write(request)
    :silent unless connection.wait_readable(ANSWER_SECONDS)
  end
rescue Errno::ETIMEDOUT
  :silent
rescue SystemCallError
  :closed
end

# The tailed files with a whole line that Fluentd has not taken, each with where Fluentd is in it.
def unread
  Dir.glob("#{STATE}/positions/*").flat_map do |positions|
    entries = File.readlines(positions, chomp: true).to_h { |line| line.split("\t", 2) }
    paths = [nil, ".jsonl"].map { |ending| "#{variable("EVENTS", "/var/lib/eventsim")}/#{File.basename(positions)}#{ending}" }
    paths.select { |path| File.file?(path) }.filter_map do |path|
      position, inode = entries.fetch(path, "0\t0").split("\t").map(&:hex)
      offset = inode == File.stat(path).ino ? position : 0
      [path, entries[path]] if line_after?(path, offset)
    end
  end
rescue Errno::ENOENT # rotated away meanwhile
  []
end

def line_after?(path, offset)
  File.open(path, "rb") do |file|
    file.seek(offset)
    while (part = file.read(1_000_000))
      return true if part.include?("\n")
    end
  end
  false
end

# The tailed files of which nothing was taken between two looks.
def stuck
  before = unread
  return [] if before.empty?
  sleep(LOOKS_SECONDS)
  (before & unread).map(&:first)
end

# Why there is no room for events, or nil.
def no_room(outputs)
  full = outputs.select { |output| output["buffer_available_buffer_space_ratios"] <= 0 }
  return "buffer full: #{full.map { |output| output["plugin_id"] }.join(", ")}" if full.any?
  trial = "#{STATE}/health.#{Process.pid}"
  begin
    File.binwrite(trial, "\0" * ROOM_BYTES)
    nil
  rescue SystemCallError => error
    "no room in #{STATE}: #{error.message}"
  ensure
    File.delete(trial) if File.exist?(trial)
  end
end

def reason(probe)
  outputs = outputs() or return "Fluentd does not answer"
  faults = REQUESTS.transform_values { |port, request| fault_of(port, request) }.compact
  closed = faults.select { |_, fault| fault == :closed }.keys
  return "port closed: #{closed.join(", ")}" if closed.any?
  waiting = no_room(outputs)
  return probe == "ready" ? waiting : nil if waiting
  return "no answer: #{faults.keys.join(", ")}" if faults.any?
  files = stuck
  "lines are not taken: #{files.join(", ")}" if files.any?
end

abort "usage: health.rb live|ready" unless ["live", "ready"].include?(ARGV[0])
found = reason(ARGV[0])
abort found if found
