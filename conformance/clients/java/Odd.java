import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.Validators;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What the other roles leave out: odd sizes and names, batches, compression, order, broadcasting, queries. */
final class Odd {
    private static final int BODY_BYTES_MAX = 4 * 1024 * 1024;
    private static final int MESSAGE_ILLEGAL = 13;
    private static final long LOOK_EVERY_MS = 50;
    private static final long WITHIN_S = 90;
    private static final String COMPRESS_TYPE = "rocketmq.message.compressType";

    private final String namesrv;
    private final String topic;
    private final String group;
    private final DefaultMQProducer producer;

    Odd(String namesrv, String topic, String group) throws MQClientException {
        this.namesrv = namesrv;
        this.topic = topic;
        this.group = group;
        this.producer = newProducer("plain");
    }

    /** Something that may fail in any way. */
    private interface Check {
        void run() throws Exception;
    }

    void run() {
        check("batch", this::batch);
        for (String type : List.of("ZLIB", "LZ4", "ZSTD")) {
            check("compressed-" + type.toLowerCase(), () -> compressed(type));
        }
        check("largest-body", this::largestBody);
        check("body-one-byte-over", () -> refused(MESSAGE_ILLEGAL, new byte[BODY_BYTES_MAX + 1], topic));
        check("empty-body", () -> refused(MESSAGE_ILLEGAL, new byte[0], topic));
        check("large-properties", this::largeProperties);
        check("properties-over-the-limit", this::propertiesOverTheLimit);
        check("longest-topic", () -> roundTrip(topic + "x".repeat(127 - topic.length()), "a".getBytes(), producer));
        check("topic-of-a-wrong-character", () -> refused(-1, "a".getBytes(), "a b"));
        check("tags-300", this::manyTags);
        check("query", this::query);
        check("offsets", this::offsets);
        check("orderly", this::orderly);
        check("shared-queues", () -> twoConsumers(false));
        check("broadcasting", () -> twoConsumers(true));
        check("retry", () -> retry("retry", "retry"));
        String longest = "g".repeat(longestGroup() - group.length() - 1);
        check("longest-group", () -> retry("long", longest));
        producer.shutdown();
    }

    /**
     * 255 characters where the client takes such a name, as those before 5.5 do, and can read its retry topic, which is
     * longer than 127 then, as those from 5.0 on can; else 120.
     */
    private static int longestGroup() {
        try {
            Class.forName("org.apache.rocketmq.common.message.MessageVersion");
            Validators.checkGroup("g".repeat(255));
            return 255;
        } catch (ClassNotFoundException | MQClientException shorter) {
            return 120;
        }
    }

    private static void check(String name, Check check) {
        try {
            check.run();
            Client.say("CHECK", name, "ok");
        } catch (Exception | AssertionError error) {
            Client.say("CHECK", name, Client.oneLine(error));
        }
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WITHIN_S);
        while (!condition.getAsBoolean()) {
            expect(System.nanoTime() < deadline, "waited " + WITHIN_S + " s for " + what);
            TimeUnit.MILLISECONDS.sleep(LOOK_EVERY_MS);
        }
    }

    private DefaultMQProducer newProducer(String name) throws MQClientException {
        DefaultMQProducer made = new DefaultMQProducer(group + "-" + name);
        made.setNamesrvAddr(namesrv);
        made.setInstanceName(name);
        made.setMaxMessageSize(BODY_BYTES_MAX);
        made.setSendMsgTimeout(10_000);
        made.start();
        return made;
    }

    /** A consumer that keeps what it is given, from the first offset on. */
    private DefaultMQPushConsumer newConsumer(String name, String instance, String ofTopic, String tags,
            ConcurrentLinkedQueue<MessageExt> kept) throws MQClientException {
        DefaultMQPushConsumer made = new DefaultMQPushConsumer(group + "-" + name);
        made.setNamesrvAddr(namesrv);
        made.setInstanceName(instance);
        made.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        made.subscribe(ofTopic, tags);
        made.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            kept.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return made;
    }

    /** Sends one body and returns it as received; its tag tells it from all others. */
    private MessageExt roundTrip(String toTopic, byte[] body, DefaultMQProducer by) throws Exception {
        return roundTrip(new Message(toTopic, body), by);
    }

    private MessageExt roundTrip(Message message, DefaultMQProducer by) throws Exception {
        String mark = "mark" + System.nanoTime();
        message.setTags(mark);
        by.send(message);
        ConcurrentLinkedQueue<MessageExt> kept = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = newConsumer(mark, mark, message.getTopic(), mark, kept);
        consumer.start();
        try {
            await("the message", () -> !kept.isEmpty());
        } finally {
            consumer.shutdown();
        }
        MessageExt received = kept.peek();
        expect(Arrays.equals(received.getBody(), message.getBody()), "another body came back");
        return received;
    }

    private void batch() throws Exception {
        String tag = "batch";
        List<Message> messages = IntStream.range(0, 20)
            .mapToObj(i -> new Message(topic, tag, "batch-" + i, ("批量 " + i).getBytes(StandardCharsets.UTF_8)))
            .collect(Collectors.toList());
        SendResult result = producer.send(messages);
        expect(result.getMsgId().split(",").length == 20, "ids: " + result.getMsgId());
        ConcurrentLinkedQueue<MessageExt> kept = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = newConsumer(tag, tag, topic, tag, kept);
        consumer.start();
        try {
            await("the batch", () -> kept.size() >= 20);
        } finally {
            consumer.shutdown();
        }
        List<MessageExt> sorted = new ArrayList<>(kept);
        sorted.sort((a, b) -> Long.compare(a.getQueueOffset(), b.getQueueOffset()));
        for (int i = 0; i < 20; i++) {
            MessageExt message = sorted.get(i);
            expect(message.getQueueOffset() == result.getQueueOffset() + i, "offset " + message.getQueueOffset());
            expect(message.getKeys().equals("batch-" + i), "key " + message.getKeys() + " at " + i);
            expect(new String(message.getBody(), StandardCharsets.UTF_8).equals("批量 " + i), "body at " + i);
        }
    }

    private void compressed(String type) throws Exception {
        String before = System.getProperty(COMPRESS_TYPE);
        System.setProperty(COMPRESS_TYPE, type);
        DefaultMQProducer compressing = newProducer(type);
        try {
            byte[] body = "压缩 compressible ".repeat(4_000).getBytes(StandardCharsets.UTF_8);
            MessageExt received = roundTrip(topic, body, compressing);
            expect(received.getStoreSize() < body.length / 2, "stored in " + received.getStoreSize() + " bytes");
        } finally {
            compressing.shutdown();
            if (before == null) {
                System.clearProperty(COMPRESS_TYPE);
            } else {
                System.setProperty(COMPRESS_TYPE, before);
            }
        }
    }

    private void largestBody() throws Exception {
        byte[] body = new byte[BODY_BYTES_MAX];
        new Random(7).nextBytes(body);
        DefaultMQProducer raw = newProducer("raw");
        raw.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        try {
            roundTrip(topic, body, raw);
        } finally {
            raw.shutdown();
        }
    }

    /** The client itself refuses; -1 stands for any code. */
    private void refused(int code, byte[] body, String toTopic) throws Exception {
        try {
            producer.send(new Message(toTopic, body));
        } catch (MQClientException error) {
            expect(code == -1 || error.getResponseCode() == code, "code " + error.getResponseCode());
            return;
        }
        throw new AssertionError("it was taken");
    }

    private void largeProperties() throws Exception {
        Message message = new Message(topic, "large properties".getBytes());
        String value = "值".repeat(9_000);
        message.putUserProperty("large", value);
        MessageExt received = roundTrip(message, producer);
        expect(value.equals(received.getUserProperty("large")), "another property came back");
    }

    private void propertiesOverTheLimit() throws Exception {
        Message message = new Message(topic, "too large properties".getBytes());
        message.putUserProperty("large", "x".repeat(33_000));
        try {
            producer.send(message);
        } catch (MQBrokerException error) {
            expect(error.getResponseCode() == MESSAGE_ILLEGAL, "code " + error.getResponseCode());
            return;
        }
        throw new AssertionError("it was taken");
    }

    private void manyTags() throws Exception {
        producer.send(new Message(topic, "other", "not subscribed".getBytes()));
        producer.send(new Message(topic, "many299", "subscribed".getBytes()));
        String tags = IntStream.range(0, 300).mapToObj(i -> "many" + i).collect(Collectors.joining(" || "));
        ConcurrentLinkedQueue<MessageExt> kept = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = newConsumer("many", "many", topic, tags, kept);
        consumer.start();
        try {
            await("the subscribed one", () -> !kept.isEmpty());
        } finally {
            consumer.shutdown();
        }
        expect(kept.stream().allMatch(message -> message.getTags().equals("many299")), "others came too");
    }

    private void query() throws Exception {
        String key = "键" + System.nanoTime();
        Message message = new Message(topic, "query", "to be found".getBytes());
        message.setKeys(Arrays.asList(key, "second"));
        SendResult sent = producer.send(message);
        await("the key in the index", () -> found(key) == 1);
        MessageExt byOffsetId = producer.viewMessage(topic, sent.getOffsetMsgId());
        expect(Arrays.equals(byOffsetId.getBody(), message.getBody()), "by offset id another body");
        MessageExt byUniqueId = producer.viewMessage(topic, sent.getMsgId());
        expect(Arrays.equals(byUniqueId.getBody(), message.getBody()), "by unique id another body");
    }

    private int found(String key) {
        try {
            QueryResult result = producer.queryMessage(topic, key, 32, 0, Long.MAX_VALUE);
            return result.getMessageList().size();
        } catch (MQClientException | InterruptedException notYet) {
            return 0;
        }
    }

    private void offsets() throws Exception {
        String fresh = topic + "-offsets";
        long before = System.currentTimeMillis();
        List<SendResult> sent = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            sent.add(producer.send(new Message(fresh, ("n" + i).getBytes()), (queues, message, arg) -> queues.get(0), null));
        }
        MessageQueue queue = sent.get(0).getMessageQueue();
        expect(producer.maxOffset(queue) == 10, "max " + producer.maxOffset(queue));
        expect(producer.minOffset(queue) == 0, "min " + producer.minOffset(queue));
        expect(producer.searchOffset(queue, before - 1_000) == 0, "search before: " + producer.searchOffset(queue, before - 1_000));
        long after = System.currentTimeMillis() + 60_000;
        expect(producer.searchOffset(queue, after) == 10, "search after: " + producer.searchOffset(queue, after));
        expect(producer.earliestMsgStoreTime(queue) >= before - 1_000, "earliest " + producer.earliestMsgStoreTime(queue));
    }

    private void orderly() throws Exception {
        String fresh = topic + "-orderly";
        int keys = 5;
        int each = 40;
        for (int i = 0; i < keys * each; i++) {
            producer.send(new Message(fresh, "ordered", String.valueOf(i).getBytes()),
                (queues, message, key) -> queues.get((Integer) key % queues.size()), i % keys);
        }
        ConcurrentLinkedQueue<Integer> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group + "-orderly");
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("orderly");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(fresh, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            messages.forEach(message -> seen.add(Integer.valueOf(new String(message.getBody()))));
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        try {
            await("all of it", () -> seen.size() >= keys * each);
        } finally {
            consumer.shutdown();
        }
        for (int key = 0; key < keys; key++) {
            int wanted = key;
            List<Integer> ofKey = seen.stream().filter(number -> number % keys == wanted).collect(Collectors.toList());
            List<Integer> sorted = new ArrayList<>(ofKey);
            Collections.sort(sorted);
            expect(ofKey.equals(sorted) && ofKey.size() == each, "key " + key + ": " + ofKey);
        }
    }

    /** Two consumers of one group: together or, when broadcasting, each of them gets all. */
    private void twoConsumers(boolean broadcasting) throws Exception {
        String name = broadcasting ? "broadcasting" : "shared";
        String fresh = topic + "-" + name;
        producer.send(new Message(fresh, "0".getBytes()));
        List<ConcurrentLinkedQueue<MessageExt>> kept = List.of(new ConcurrentLinkedQueue<>(), new ConcurrentLinkedQueue<>());
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        try {
            for (int i = 0; i < 2; i++) {
                DefaultMQPushConsumer consumer = newConsumer(name, name + i, fresh, "*", kept.get(i));
                if (broadcasting) {
                    consumer.setMessageModel(Enum.valueOf(consumer.getMessageModel().getDeclaringClass(), "BROADCASTING"));
                }
                consumers.add(consumer);
                consumer.start();
            }
            for (int i = 1; i < 200; i++) {
                producer.send(new Message(fresh, String.valueOf(i).getBytes()));
            }
            await("all of it", () -> kept.stream().mapToInt(one -> numbers(one).size()).sum() >= (broadcasting ? 400 : 200)
                || !broadcasting && numbers(kept.get(0), kept.get(1)).size() >= 200);
        } finally {
            consumers.forEach(DefaultMQPushConsumer::shutdown);
        }
        if (!broadcasting) {
            expect(numbers(kept.get(0), kept.get(1)).size() == 200, "some are missing");
        }
    }

    @SafeVarargs
    private static TreeSet<String> numbers(ConcurrentLinkedQueue<MessageExt>... kept) {
        TreeSet<String> numbers = new TreeSet<>();
        Arrays.stream(kept).forEach(one -> one.forEach(message -> numbers.add(new String(message.getBody()))));
        return numbers;
    }

    private void retry(String name, String groupName) throws Exception {
        String fresh = topic + "-" + name;
        producer.send(new Message(fresh, "again", "once more".getBytes()));
        ConcurrentLinkedQueue<Integer> times = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = newConsumer(groupName, name, fresh, "*", new ConcurrentLinkedQueue<>());
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            messages.forEach(message -> times.add(message.getReconsumeTimes()));
            return messages.get(0).getReconsumeTimes() == 0
                ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        try {
            await("the second time", () -> times.contains(1));
        } finally {
            consumer.shutdown();
        }
    }
}
