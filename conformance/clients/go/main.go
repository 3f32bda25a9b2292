// The conformance program of the Go client. Command line and output lines are described in conformance/README.md.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	property      = "city"
	propertyValue = "上海"
	retryPause    = 100 * time.Millisecond
)

type options struct {
	namesrv, topic, group, tag        string
	first, sync, oneway, async        int
	pollMs, intervalMs, giveUpSeconds int
}

var sayLock sync.Mutex

// say prints one protocol line in one write, so that lines of several goroutines do not mix.
func say(words ...any) {
	line := strings.TrimSuffix(fmt.Sprintln(words...), "\n")
	line = strings.Join(strings.Split(line, "\n"), " ")
	sayLock.Lock()
	defer sayLock.Unlock()
	os.Stdout.WriteString(line + "\n")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func bodyOf(number int) string { return fmt.Sprintf("第 %d 号消息：你好，世界 🚣", number) }

func tagOf(number int) string {
	if number%2 == 0 {
		return "TagA"
	}
	return "TagB"
}

func messageOf(topic string, number int) *primitive.Message {
	message := primitive.NewMessage(topic, []byte(bodyOf(number)))
	message.WithTag(tagOf(number))
	message.WithKeys([]string{"key-" + strconv.Itoa(number)})
	message.WithProperty(property, propertyValue)
	return message
}

// report prints what arrived: RECV, and BAD beside it when the content is not what was sent.
func report(message *primitive.MessageExt) {
	key := message.GetKeys()
	number, err := strconv.Atoi(strings.TrimPrefix(key, "key-"))
	if err != nil {
		number = -1
	}
	say("RECV", number, message.GetTags(), key, message.Queue.QueueId, message.QueueOffset)
	switch {
	case string(message.Body) != bodyOf(number):
		say("BAD", number, "body", string(message.Body))
	case message.GetTags() != tagOf(number):
		say("BAD", number, "tag", message.GetTags())
	case message.GetProperty(property) != propertyValue:
		say("BAD", number, "property", message.GetProperty(property))
	}
}

// stopped is closed when the runner says STOP or has gone away.
func stopped() <-chan struct{} {
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if lines.Text() == "STOP" {
				return
			}
		}
	}()
	return stop
}

func namesrvs(text string) primitive.NamesrvAddr {
	addresses, err := primitive.NewNamesrvAddr(strings.Split(text, ";")...)
	if err != nil {
		fail(err)
	}
	return addresses
}

func send(o options) {
	sender, err := rocketmq.NewProducer(producer.WithNameServer(namesrvs(o.namesrv)), producer.WithGroupName(o.group))
	if err != nil {
		fail(err)
	}
	if err := sender.Start(); err != nil {
		fail(err)
	}
	say("READY")
	giveUpAt := time.Now().Add(time.Duration(o.giveUpSeconds) * time.Second)
	next := o.first
	for range o.sync {
		sendUntilAcked(sender, o.topic, next, giveUpAt)
		next++
		time.Sleep(time.Duration(o.intervalMs) * time.Millisecond)
	}
	for range o.oneway {
		if err := sender.SendOneWay(context.Background(), messageOf(o.topic, next)); err != nil {
			say("FAIL", next, err)
		} else {
			say("SENT", next)
		}
		next++
	}
	sendAsync(sender, o.topic, next, o.async, giveUpAt)
	if err := sender.Shutdown(); err != nil {
		fail(err)
	}
}

func sendUntilAcked(sender rocketmq.Producer, topic string, number int, giveUpAt time.Time) {
	for {
		result, err := sender.SendSync(context.Background(), messageOf(topic, number))
		if told(number, result, err) || time.Now().After(giveUpAt) {
			return
		}
		time.Sleep(retryPause)
	}
}

// told prints the answer to one send, and says whether it was an acknowledgement.
func told(number int, result *primitive.SendResult, err error) bool {
	if err != nil {
		say("FAIL", number, err)
		return false
	}
	if result.Status != primitive.SendOK {
		say("FAIL", number, "status", int(result.Status))
		return false
	}
	say("ACK", number, result.MsgID, result.MessageQueue.QueueId, result.QueueOffset)
	return true
}

func sendAsync(sender rocketmq.Producer, topic string, first, count int, giveUpAt time.Time) {
	answered := make(chan struct{}, count)
	for number := first; number < first+count; number++ {
		err := sender.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			told(number, result, err)
			answered <- struct{}{}
		}, messageOf(topic, number))
		if err != nil {
			say("FAIL", number, err)
			answered <- struct{}{}
		}
	}
	late := time.After(time.Until(giveUpAt))
	for range count {
		select {
		case <-answered:
		case <-late:
			return
		}
	}
}

func push(o options) {
	receiver, err := rocketmq.NewPushConsumer(consumer.WithNameServer(namesrvs(o.namesrv)),
		consumer.WithGroupName(o.group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		fail(err)
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: o.tag}
	err = receiver.Subscribe(o.topic, selector,
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, message := range messages {
				report(message)
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		fail(err)
	}
	if err := receiver.Start(); err != nil {
		fail(err)
	}
	say("READY")
	<-stopped()
	if err := receiver.Shutdown(); err != nil {
		fail(err)
	}
}

func pull(o options) {
	receiver, err := rocketmq.NewPullConsumer(consumer.WithNameServer(namesrvs(o.namesrv)),
		consumer.WithGroupName(o.group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		fail(err)
	}
	if err := receiver.Subscribe(o.topic, consumer.MessageSelector{Type: consumer.TAG, Expression: o.tag}); err != nil {
		fail(err)
	}
	if err := receiver.Start(); err != nil {
		fail(err)
	}
	say("READY")
	for stop := stopped(); ; {
		select {
		case <-stop:
			if err := receiver.Shutdown(); err != nil {
				fail(err)
			}
			return
		default:
		}
		request, err := receiver.Poll(context.Background(), 500*time.Millisecond)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		if err != nil {
			say("FAIL", -1, err)
			time.Sleep(retryPause)
			continue
		}
		for _, message := range request.GetMsgList() {
			report(message)
		}
		receiver.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
}

func main() {
	roles := map[string]func(options){"send": send, "push": push, "pull": pull}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fail(fmt.Errorf("usage: client send|push|pull --namesrv A --topic T --group G …"))
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.namesrv, "namesrv", "", "name servers, with ; between them")
	flags.StringVar(&o.topic, "topic", "", "topic")
	flags.StringVar(&o.group, "group", "", "producer or consumer group")
	flags.StringVar(&o.tag, "tag", "*", "subscription expression")
	flags.IntVar(&o.pollMs, "poll-ms", 0, "taken and ignored: this client cannot set it")
	flags.IntVar(&o.first, "first", 0, "number of the first message")
	flags.IntVar(&o.sync, "sync", 0, "synchronous sends")
	flags.IntVar(&o.oneway, "oneway", 0, "one-way sends")
	flags.IntVar(&o.async, "async", 0, "asynchronous sends")
	flags.IntVar(&o.intervalMs, "interval-ms", 0, "pause after each synchronous send")
	flags.IntVar(&o.giveUpSeconds, "give-up-s", 60, "when to stop sending again")
	flags.Parse(os.Args[2:])
	if o.namesrv == "" || o.topic == "" || o.group == "" {
		fail(fmt.Errorf("--namesrv, --topic and --group are needed"))
	}
	roles[os.Args[1]](o)
	say("DONE")
}
