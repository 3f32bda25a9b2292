import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The conformance program of the Java client, compiled against each of its versions. Command line and output lines
 * are described in conformance/README.md.
 */
public final class Client {
    private static final String PROPERTY = "city";
    private static final String PROPERTY_VALUE = "上海";
    private static final long RETRY_PAUSE_MS = 100;
    /** Which of two name servers start() asks is the client's own throw of a coin, at each try anew. */
    private static final int START_TRIES = 20;
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private static final BufferedReader IN =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private final Map<String, String> options;
    private final String topic;

    private Client(Map<String, String> options) {
        this.options = options;
        this.topic = text("topic");
    }

    public static void main(String[] words) throws Exception {
        Client client = new Client(parse(words));
        switch (words[0]) {
            case "send": client.send(); break;
            case "push": client.push(); break;
            case "pull": client.pull(); break;
            case "lite": client.lite(); break;
            case "odd": client.odd(); break;
            default: usage("unknown role " + words[0]);
        }
        say("DONE");
        // Threads of the library may still be there; a user's main would end likewise.
        System.exit(0);
    }

    private static Map<String, String> parse(String[] words) {
        Map<String, String> options = new HashMap<>();
        options.put("tag", "*");
        options.put("poll-ms", "3000");
        for (String number : List.of("first", "sync", "oneway", "async", "interval-ms")) {
            options.put(number, "0");
        }
        options.put("give-up-s", "60");
        if (words.length == 0) {
            usage("no role");
        }
        for (int i = 1; i < words.length; i += 2) {
            if (!words[i].startsWith("--") || i + 1 == words.length) {
                usage("odd word " + words[i]);
            }
            options.put(words[i].substring(2), words[i + 1]);
        }
        for (String needed : List.of("namesrv", "topic", "group")) {
            if (!options.containsKey(needed)) {
                usage("--" + needed + " is missing");
            }
        }
        return options;
    }

    private static void usage(String why) {
        System.err.println(why + "\nusage: Client send|push|pull|lite|odd --namesrv A --topic T --group G [--tag TagA]"
            + " [--poll-ms N] [--first N] [--sync N] [--oneway N] [--async N] [--interval-ms N] [--give-up-s N]");
        System.exit(2);
    }

    private String text(String name) {
        return options.get(name);
    }

    private int number(String name) {
        return Integer.parseInt(options.get(name));
    }

    /** One protocol line in one write, so that lines of several threads do not mix. */
    static synchronized void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() == 0 ? "" : " ").append(word);
        }
        OUT.print(line.append('\n'));
        OUT.flush();
    }

    static String oneLine(Throwable error) {
        return (error.getClass().getSimpleName() + ": " + error.getMessage()).replaceAll("\\s+", " ");
    }

    private static String bodyOf(int number) {
        return "第 " + number + " 号消息：你好，世界 🚣";
    }

    private static String tagOf(int number) {
        return number % 2 == 0 ? "TagA" : "TagB";
    }

    private Message messageOf(int number) {
        Message message = new Message(topic, tagOf(number), "key-" + number,
            bodyOf(number).getBytes(StandardCharsets.UTF_8));
        message.putUserProperty(PROPERTY, PROPERTY_VALUE);
        return message;
    }

    /** Prints what arrived: RECV, and BAD beside it when the content is not what was sent. */
    private static void report(MessageExt message) {
        String key = String.valueOf(message.getKeys());
        int number = key.matches("key-\\d+") ? Integer.parseInt(key.substring("key-".length())) : -1;
        String body = new String(message.getBody(), StandardCharsets.UTF_8);
        say("RECV", number, message.getTags(), key, message.getQueueId(), message.getQueueOffset());
        if (!bodyOf(number).equals(body)) {
            say("BAD", number, "body", body);
        } else if (!tagOf(number).equals(message.getTags())) {
            say("BAD", number, "tag", message.getTags());
        } else if (!PROPERTY_VALUE.equals(message.getUserProperty(PROPERTY))) {
            say("BAD", number, "property", message.getUserProperty(PROPERTY));
        }
    }

    /** Returns when the runner says STOP or has gone away. */
    private static void waitForStop() throws IOException {
        for (String line = IN.readLine(); line != null && !line.equals("STOP"); line = IN.readLine()) {
            // Nothing else is ever said.
        }
    }

    private static AtomicBoolean stopFlag() {
        AtomicBoolean stop = new AtomicBoolean();
        Thread waiter = new Thread(() -> {
            try {
                waitForStop();
            } catch (IOException gone) {
                // The runner has gone away: the same as STOP.
            }
            stop.set(true);
        });
        waiter.setDaemon(true);
        waiter.start();
        return stop;
    }

    private void send() throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(text("group"));
        producer.setNamesrvAddr(text("namesrv"));
        producer.setPollNameServerInterval(number("poll-ms"));
        producer.start();
        say("READY");
        long giveUpAt = System.nanoTime() + TimeUnit.SECONDS.toNanos(number("give-up-s"));
        int next = number("first");
        for (int i = 0; i < number("sync"); i++) {
            sendUntilAcked(producer, next++, giveUpAt);
            TimeUnit.MILLISECONDS.sleep(number("interval-ms"));
        }
        for (int i = 0; i < number("oneway"); i++) {
            producer.sendOneway(messageOf(next));
            say("SENT", next++);
        }
        sendAsync(producer, next, number("async"), giveUpAt);
        producer.shutdown();
    }

    private void sendUntilAcked(DefaultMQProducer producer, int number, long giveUpAt) throws InterruptedException {
        while (true) {
            try {
                SendResult result = producer.send(messageOf(number));
                if (result.getSendStatus() == SendStatus.SEND_OK) {
                    acked(number, result);
                    return;
                }
                say("FAIL", number, result.getSendStatus());
            } catch (Exception error) {
                say("FAIL", number, oneLine(error));
            }
            if (System.nanoTime() > giveUpAt) {
                return;
            }
            TimeUnit.MILLISECONDS.sleep(RETRY_PAUSE_MS);
        }
    }

    private static void acked(int number, SendResult result) {
        say("ACK", number, result.getMsgId(), result.getMessageQueue().getQueueId(), result.getQueueOffset());
    }

    private void sendAsync(DefaultMQProducer producer, int first, int count, long giveUpAt) throws Exception {
        Semaphore answered = new Semaphore(0);
        for (int i = first; i < first + count; i++) {
            int number = i;
            producer.send(messageOf(number), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    acked(number, result);
                    answered.release();
                }

                @Override
                public void onException(Throwable error) {
                    say("FAIL", number, oneLine(error));
                    answered.release();
                }
            });
        }
        answered.tryAcquire(count, Math.max(0, giveUpAt - System.nanoTime()), TimeUnit.NANOSECONDS);
    }

    private void push() throws Exception {
        DefaultMQPushConsumer consumer = startPush();
        say("READY");
        waitForStop();
        consumer.shutdown();
    }

    /**
     * A running push consumer. The client's start() asks one name server for the route and throws if that one is dead,
     * though it knows of others (as either of two exceptions, by the step that met it); its users start it again, and
     * so does this.
     */
    private DefaultMQPushConsumer startPush() throws Exception {
        for (int tries = 1; ; tries++) {
            DefaultMQPushConsumer consumer = newPush();
            try {
                consumer.start();
                return consumer;
            } catch (MQClientException | IllegalStateException error) {
                consumer.shutdown();
                if (tries == START_TRIES) {
                    throw error;
                }
                say("FAIL", -1, oneLine(error));
            }
        }
    }

    private DefaultMQPushConsumer newPush() throws MQClientException {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(text("group"));
        consumer.setNamesrvAddr(text("namesrv"));
        consumer.setPollNameServerInterval(number("poll-ms"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, text("tag"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(Client::report);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        // Without it shutdown() interrupts the listener's threads, and what they had just consumed comes again.
        consumer.setAwaitTerminationMillisWhenShutdown(10_000);
        return consumer;
    }

    /** The older pull consumer: queue by queue, offsets kept by the caller. */
    @SuppressWarnings("deprecation")
    private void pull() throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(text("group"));
        consumer.setNamesrvAddr(text("namesrv"));
        consumer.setPollNameServerInterval(number("poll-ms"));
        consumer.start();
        say("READY");
        AtomicBoolean stop = stopFlag();
        Map<MessageQueue, Long> next = new HashMap<>();
        while (!stop.get()) {
            try {
                for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
                    PullResult result = consumer.pull(queue, text("tag"), next.getOrDefault(queue, 0L), 32);
                    if (result.getPullStatus() == PullStatus.FOUND) {
                        result.getMsgFoundList().forEach(Client::report);
                    }
                    next.put(queue, result.getNextBeginOffset());
                    consumer.updateConsumeOffset(queue, result.getNextBeginOffset());
                }
            } catch (Exception error) {
                say("FAIL", -1, oneLine(error));
            }
            TimeUnit.MILLISECONDS.sleep(RETRY_PAUSE_MS);
        }
        consumer.shutdown();
    }

    /** The newer one: a subscription, balanced queues, poll. */
    private void lite() throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(text("group"));
        consumer.setNamesrvAddr(text("namesrv"));
        consumer.setPollNameServerInterval(number("poll-ms"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, text("tag"));
        consumer.start();
        say("READY");
        AtomicBoolean stop = stopFlag();
        while (!stop.get()) {
            consumer.poll(500).forEach(Client::report);
        }
        consumer.commitSync();
        consumer.shutdown();
    }

    /** Everything else: see Odd. */
    private void odd() throws Exception {
        Odd odd = new Odd(text("namesrv"), topic, text("group"));
        say("READY");
        odd.run();
    }
}
