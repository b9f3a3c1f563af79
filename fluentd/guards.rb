# What Fluentd 1.18 does wrong, or slowly, and no configuration mends; `fluentd -r guards.rb` loads this. Nothing of what is
# landed depends on it.
require "fluent/plugin/buf_file"
require "fluent/plugin/filter_record_transformer"
require "fluent/plugin/in_forward"

module CollectorGuards
  # A chunk that cannot be created on a full disk is tried again without a pause, and SIGTERM does not end that. A full disk is a full
  # buffer here: sources wait, look once a second, and stop when Fluentd does.
  module FullDisk
    ROOM_BYTES = 1_000_000
    LOOK_SECONDS = 1

    def storable?
      super && room?
    end

    private

    def room?
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      return @room if @looked_at && now < @looked_at + LOOK_SECONDS
      @looked_at = now
      @room = takes_bytes?("#{File.dirname(@path)}/room")
    end

    def takes_bytes?(trial)
      File.binwrite(trial, "\0" * ROOM_BYTES)
      true
    rescue SystemCallError
      false
    ensure
      File.delete(trial) if File.exist?(trial)
    end
  end

  # A tag that is no text fails in every route and in the label of errors, until the worker dies. Its message is not acknowledged.
  module TextTags
    def on_message(message, *rest)
      return super unless message.is_a?(Array) && !message[0].is_a?(String)
      log.warn "a message is refused: its tag is no text"
      nil
    end
  end

  # Ruby in the configuration is parsed anew for each record, which costs more than most of it does. Here it is parsed once.
  module CompiledOnce
    def expand(expression, tag, time, record, tag_parts, tag_prefix, tag_suffix, hostname)
      @compiled ||= {}
      @compiled[expression] ||= instance_eval(<<~RUBY)
        ->(tag, time, record, tag_parts, tag_prefix, tag_suffix, hostname) {
          #{expression}
        }
      RUBY
      @compiled[expression].call(tag, time, record, tag_parts, tag_prefix, tag_suffix, hostname)
    end
  end
end

Fluent::Plugin::FileBuffer.prepend(CollectorGuards::FullDisk)
Fluent::Plugin::ForwardInput.prepend(CollectorGuards::TextTags)
Fluent::Plugin::RecordTransformerFilter::RubyPlaceholderExpander::CleanroomExpander.prepend(CollectorGuards::CompiledOnce)
